// The ticks, and a burst of pushes by a timer; the same for all peers in JavaScript.

/** Milliseconds for which pushes are made in one turn of the event loop, where there is a backlog. */
const LONGEST_TURN = 10;

let ticks = 0;

/**
 * The next tick is the one in a query; without one, ticks go on counting. A process that has been
 * restarted would count from 1 again.
 *
 * @param {URLSearchParams} query
 */
export function setTick(query) {
  if (query.has("tick")) ticks = Number(query.get("tick")) - 1;
}

/** The number of the next tick, of eight digits. */
export function nextTick() {
  return String(++ticks).padStart(8, "0");
}

/**
 * Pushes `rate` times a second for `seconds`, `turn` pushes at a time: a timer makes what is due by
 * the clock. A server that cannot keep up makes what it can, for what is not made when the time is
 * over is left. Resolves to what the driver needs to know, apart by spaces: the first tick; when the
 * burst started, microseconds between two turns, pushes a turn; pushes made, when the last was made.
 * Both are times of day in microseconds.
 *
 * @param {URLSearchParams} query
 * @param {() => unknown} push Makes one push, which takes one tick.
 * @returns {Promise<string>}
 */
export function burst(query, push) {
  const [rate, seconds] = [Number(query.get("rate")), Number(query.get("seconds"))];
  const turn = Number(query.get("turn") ?? 1);
  const interval = 1000 * turn / rate;
  const turns = Math.round(1000 * seconds / interval);
  const firstTick = ticks + 1;
  const wallClock = wallClockOffset();
  const start = performance.now();
  let made = 0;
  let last = start;
  return new Promise((resolve, reject) => {
    waitForNext();

    function waitForNext() {
      setTimeout(makeWhatIsDue, Math.max(1, start + (made + 1) * interval - performance.now()));
    }

    function makeWhatIsDue() {
      const now = performance.now();
      const due = Math.min(turns, (now - start) / interval);
      try {
        while (made + 1 <= due) {
          last = performance.now();
          for (let i = 0; i < turn; i++) push();
          made++;
          if (performance.now() - now > LONGEST_TURN) break;
        }
      } catch (error) {
        return reject(error);
      }
      if (made < turns && now - start < seconds * 1000) return waitForNext();
      const [started, ended] = [start, last].map((time) => Math.round(1000 * (wallClock + time)));
      resolve([firstTick, started, 1000 * interval, turn, made * turn, ended].join(" "));
    }
  });
}

/** Milliseconds from `performance.now()` to the time of day, to the microsecond. */
function wallClockOffset() {
  const start = Date.now();
  while (Date.now() === start); // it has whole milliseconds: the next one starts now
  return Date.now() - performance.now();
}
