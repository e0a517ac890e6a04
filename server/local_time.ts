/**
 * Times and durations in words, in the time zone of this process.
 *
 * @module
 */

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The time of a moment, in milliseconds since 1970, in hours and minutes, such as `14:31`. */
export function clock(at: number): string {
  const date = new Date(at);
  return `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`;
}

/** The time of a moment with its seconds, such as `14:31:05`. */
export function clockWithSeconds(at: number): string {
  return `${clock(at)}:${twoDigits(new Date(at).getSeconds())}`;
}

/** The date of a moment without its year, such as `25 November`. */
export function day(at: number): string {
  const date = new Date(at);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

/** The date of a moment, such as `25 November 2026`. */
export function date(at: number): string {
  return `${day(at)} ${new Date(at).getFullYear()}`;
}

/** Whether two moments are on the same date. */
export function isSameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

/**
 * The distance of the time zone from UTC at a moment, such as `UTC` or `UTC+5:30`.
 *
 * @param minutes the minutes from local time to UTC, as `getTimezoneOffset()` returns them
 */
export function zone(at: number, minutes: number = new Date(at).getTimezoneOffset()): string {
  if (minutes === 0) return "UTC";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "+" : "-"}${hours}${rest === 0 ? "" : `:${twoDigits(rest)}`}`;
}

/**
 * Two moments with their dates and the time zone, which is named twice where the clocks were changed between
 * them, such as `28 March 11:31 UTC+1 to 29 March 12:31 UTC+2`.
 */
export function period(from: number, to: number, zoneOf: (at: number) => string = zone): string {
  const [first, last] = [zoneOf(from), zoneOf(to)];
  const begin = `${day(from)} ${clock(from)}${first === last ? "" : ` ${first}`}`;
  return `${begin} to ${day(to)} ${clock(to)} ${last}`;
}

/** A duration in milliseconds in its largest unit, such as `3 min` or `41 days`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 2 * MINUTE) return `${Math.round(milliseconds / SECOND)} s`;
  if (milliseconds < 2 * HOUR) return `${Math.floor(milliseconds / MINUTE)} min`;
  if (milliseconds < 2 * DAY) return `${Math.floor(milliseconds / HOUR)} h`;
  return `${Math.floor(milliseconds / DAY)} days`;
}

/** A duration in milliseconds to the minute, such as `1 h 30 min`; below a minute to the second. */
export function hoursAndMinutes(milliseconds: number): string {
  if (milliseconds > 0 && milliseconds < MINUTE) return duration(milliseconds);
  const minutes = Math.round(milliseconds / MINUTE);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
