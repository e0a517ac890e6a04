import assert from "node:assert/strict";
import {
  clock,
  clockWithSeconds,
  date,
  day,
  duration,
  hoursAndMinutes,
  isSameDay,
  period,
  zone,
} from "./local_time.ts";

/** A moment in local time. */
const at = (...parts: [number, number, number, number, number, number]) =>
  new Date(...parts).getTime();

Deno.test("clock(), clockWithSeconds(), day() and date() show local time", () => {
  const moment = at(2026, 2, 5, 9, 7, 3);
  assert.deepEqual(
    [clock(moment), clockWithSeconds(moment), day(moment), date(moment)],
    ["09:07", "09:07:03", "5 March", "5 March 2026"],
  );
});

Deno.test("isSameDay() compares local dates", () => {
  assert(isSameDay(at(2026, 10, 25, 0, 0, 0), at(2026, 10, 25, 23, 59, 59)));
  assert(!isSameDay(at(2026, 10, 25, 23, 59, 59), at(2026, 10, 26, 0, 0, 0)));
});

Deno.test("zone() is UTC and the distance from it", () => {
  const shown = [0, -60, -330, 210, 720].map((minutes) => zone(0, minutes));
  assert.deepEqual(shown, ["UTC", "UTC+1", "UTC+5:30", "UTC-3:30", "UTC-12"]);
  assert.match(zone(Date.now()), /^UTC([+-]\d{1,2}(:\d\d)?)?$/);
});

Deno.test("duration() uses the largest unit that says enough", () => {
  const MINUTE = 60_000;
  const cases: [number, string][] = [
    [0, "0 s"],
    [12_400, "12 s"],
    [2 * MINUTE - 1_000, "119 s"],
    [2 * MINUTE, "2 min"],
    [119 * MINUTE, "119 min"],
    [120 * MINUTE, "2 h"],
    [47 * 60 * MINUTE, "47 h"],
    [41.9 * 24 * 60 * MINUTE, "41 days"],
  ];
  for (const [milliseconds, text] of cases) {
    assert.equal(duration(milliseconds), text);
  }
});

Deno.test("period() names both zones where the clocks were changed", () => {
  const [from, to] = [at(2026, 2, 28, 11, 31, 0), at(2026, 2, 29, 12, 31, 0)];
  assert.equal(period(from, to, () => "UTC+2"), "28 March 11:31 to 29 March 12:31 UTC+2");
  const changed = period(from, to, (moment) => moment === to ? "UTC+2" : "UTC+1");
  assert.equal(changed, "28 March 11:31 UTC+1 to 29 March 12:31 UTC+2");
});

Deno.test("hoursAndMinutes() is exact to the minute, and below a minute to the second", () => {
  const minutes = [0, 0.18, 0.99, 1, 21, 60, 90, 1_440];
  const shown = minutes.map((minutes) => hoursAndMinutes(minutes * 60_000));
  const texts = ["0 min", "11 s", "59 s", "1 min", "21 min", "1 h", "1 h 30 min", "24 h"];
  assert.deepEqual(shown, texts);
});
