import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { History, type Series } from "./history.ts";
import { HEIGHT, type Plot, plot, type PlotOptions, type Stroke } from "./plot.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** The moment of the design's pictures. */
const END = Date.UTC(2026, 10, 25, 14, 31, 5);

type Point = readonly [x: number, y: number];

/** The points of a curve's path, each rounded to a hundredth. */
function pointsOf(path: string): Point[] {
  const [, x, y, rest] = /^M(\S+) (\d+)(.*)$/.exec(path)!;
  const numbers = rest!.startsWith("l") ? rest!.match(/-?[\d.]+/g)!.map(Number) : [];
  const points: Point[] = [[Number(x), Number(y)]];
  for (let index = 0; index < numbers.length; index += 2) {
    const [x, y] = points.at(-1)!;
    points.push([Math.round(100 * (x + numbers[index]!)) / 100, y + numbers[index + 1]!]);
  }
  return points;
}

const curvesOf = ({ runs }: Plot) => runs.map(({ curve }) => pointsOf(curve));

/** The least and the greatest y of a curve at x; `undefined` where it is not. */
function rangeAt(
  curve: readonly Point[],
  x: number,
): [least: number, greatest: number] | undefined {
  const ys: number[] = [];
  for (const [index, b] of curve.entries()) {
    const a = curve[index - 1] ?? b;
    if (x < a[0] || x > b[0]) continue;
    if (a[0] === b[0]) ys.push(a[1], b[1]);
    else ys.push(a[1] + (b[1] - a[1]) * (x - a[0]) / (b[0] - a[0]));
  }
  return ys.length ? [Math.min(...ys), Math.max(...ys)] : undefined;
}

/** A series of 60 minutes to 14:31:05 with these values, the last of which is in its last step. */
function series(
  values: readonly (number | null)[],
  { interval = 5_000, step = 15_000 } = {},
): Series {
  return { end: END, step, interval, values };
}

/** 241 values, of which these differ. */
function values(most: number | null, others: Record<number, number | null> = {}) {
  return Array.from({ length: 241 }, (_, index) => index in others ? others[index]! : most);
}

/** The plot of such a series. */
function plotOf(shown: readonly (number | null)[], options: Partial<PlotOptions> = {}): Plot {
  return plot(series(shown), { length: HOUR, ...options });
}

/** The plots of the hour and of the day of a history. */
function plotsOf(history: History, end: number, limit?: number): Plot[] {
  return [history.hour(end), history.day(end)].map(({ series, length, summary }) =>
    plot(series, { length, limit, ...summary })
  );
}

Deno.test("plot() holds every sample of 20 minutes in which nobody looked", () => {
  const interval = 50;
  const history = new History({ interval, limit: 8 });
  const start = END - 20 * MINUTE;
  const samples: { value: number; at: number }[] = [];
  for (let at = start; at <= END; at += interval) {
    samples.push({ value: (samples.length * 7919) % 1_201 / 100, at });
    history.add(samples.at(-1)!.value, at);
  }
  const { series, length, summary } = history.hour(END);
  assert.equal(samples.length, 24_001);
  assert.deepEqual(summary!.holes, []);
  const { runs, top, width } = plot(series, { length, limit: 8, ...summary });
  assert.equal(runs.length, 1);
  const curve = pointsOf(runs[0]!.curve);
  for (const { value, at } of samples) {
    const number = Math.floor(at / series.step) - Math.floor((END - length) / series.step);
    const middle = number + 0.5 - (END - length) % series.step / series.step;
    const [least] = rangeAt(curve, Math.min(Math.round(4 * middle) / 4, width))!;
    assert(HEIGHT - least >= value / top * HEIGHT - 1, `${value} at ${at} is above the curve`);
  }
});

Deno.test("plot() draws what the design does: points in the middle of each step, and the newest at the end", () => {
  const shown = values(0.5, { 0: 0.4, 1: 0.6, 239: 0.7, 240: 0.6 });
  const { width, runs } = plotOf(shown, { limit: 8, latest: { value: 0.56, at: END } });
  assert.equal(width, 240);
  const curve = "M0 285l1.25-8 1 4 236 0 1-7 .75 3 0 2";
  assert.deepEqual(runs, [{ curve, area: `${curve}V300H0Z` }]);
});

Deno.test("plot() has its top at the limit or at the highest value, and never starts above 0", () => {
  assert.equal(plotOf(values(5), { limit: 8 }).top, 8);
  assert.equal(plotOf(values(5, { 100: 12.65 }), { limit: 8 }).top, 12.65);
  assert.equal(plotOf(values(0)).top, 0.01);
  assert.equal(plotOf(values(0.02), { limit: 8 }).runs[0]!.curve, "M0 299l240 0");
});

Deno.test("plot() draws zeros as a line on the ground, and nothing where there is no reading", () => {
  assert.equal(plotOf(values(0)).runs[0]!.curve, "M0 300l240 0");
  const empty = plotOf(values(null), { limit: 8, latest: { value: 1, at: END - 2 * HOUR } });
  const { runs, above, newest, highest, holes, hasZero, hasLimitNumber, limitAt } = empty;
  assert.deepEqual([runs, above, newest, highest, holes], [[], [], undefined, undefined, []]);
  assert.deepEqual([hasZero, hasLimitNumber, limitAt], [true, true, 0]);
  assert.deepEqual(plotOf([]).runs, []);
});

Deno.test("plot() draws what is below 0 on the ground", () => {
  const { runs, newest } = plotOf(values(-3), { limit: 8 });
  assert.deepEqual([runs[0]!.curve, newest!.y], ["M0 300l240 0", 100]);
});

Deno.test("plot() draws a lone reading as a dot at its own time", () => {
  const { runs, newest } = plotOf(values(null, { 120: 4 }), {
    limit: 8,
    latest: { value: 4, at: END - 30 * MINUTE - 3_000 },
  });
  assert.deepEqual(runs, [{ curve: "M119.8 150h.01", area: "M119.8 150h.01V300H119.8Z" }]);
  assert.deepEqual(newest, { x: 49.92, y: 50, value: 4, isAbove: false });
  const [above] = plotOf(values(null, { 120: 8 }), { limit: 4 }).above;
  assert.deepEqual(above, { curve: "M120.25 0h.01", area: "M120.25 0h.01V150H120.25Z" });
});

Deno.test("plot() has the newest reading at its own time, left of the end where it is older", () => {
  const shown = values(1, Object.fromEntries([...Array(36)].map((_, n) => [205 + n, null])));
  const at = END - 9 * MINUTE;
  const { newest, runs } = plotOf(shown, { latest: { value: 0.5, at }, limit: 2 });
  assert.deepEqual(newest, { x: 85, y: 75, value: 0.5, isAbove: false });
  assert.deepEqual(curvesOf({ runs } as Plot)[0]!.at(-1), [204, 225]);
  assert.deepEqual(plotOf(shown, { limit: 2 }).newest, {
    x: 85.1,
    y: 50,
    value: 1,
    isAbove: false,
  });
});

Deno.test("plot() leaves out values before its span, and a latest reading that is not of its last value", () => {
  const expected = plotOf(values(1));
  assert.deepEqual(plotOf([9, ...values(1)]), expected);
  assert.deepEqual(plotOf(values(1), { latest: { value: 5, at: END - MINUTE } }), expected);
});

Deno.test("plot() cuts the parts above the limit where the curve crosses it", () => {
  const { above, limitAt, newest } = plotOf(values(4, { 100: 12, 101: 12, 240: 16 }), {
    limit: 8,
    latest: { value: 12, at: END },
  });
  assert.equal(limitAt, 50);
  const first = "M99.75 150l.5-75 1 0 .5 75";
  const second = "M239.5 150l.5-150 0 75";
  assert.deepEqual(above, [
    { curve: first, area: `${first}V150H99.75Z` },
    { curve: second, area: `${second}V150H239.5Z` },
  ]);
  assert.deepEqual(newest, { x: 100, y: 25, value: 12, isAbove: true });
});

Deno.test("plot() never cuts the curve right of the newest reading", () => {
  const shown = values(0, Object.fromEntries([...Array(37)].map((_, n) => [204 + n, null])));
  const latest = { value: 10, at: END - (240 - 203.65) * 15_000 };
  const [above] = plotOf(shown, { limit: 9.9, latest }).above;
  assert.equal(above!.curve, "M203.65 3l0-3");
});

Deno.test("plot() has nothing above a limit that is only reached, and none without one", () => {
  const reached = plotOf(values(8), { limit: 8 });
  assert.deepEqual([reached.above, reached.newest!.isAbove], [[], false]);
  for (const limit of [0, -1, NaN, undefined]) {
    const { above, limitAt, top } = plotOf(values(5), { limit });
    assert.deepEqual([above, limitAt, top], [[], undefined, 5]);
  }
});

Deno.test("plot() stays right with values far above", () => {
  const { top, limitAt, hasZero, hasLimitNumber, runs } = plotOf(values(0.5, { 120: 1e6 }), {
    limit: 8,
  });
  assert.deepEqual([top, limitAt, hasZero, hasLimitNumber], [1e6, 100, false, false]);
  assert.equal(runs[0]!.curve, "M0 300l119.25 0 1-300 1 300 118.75 0");
  assert.equal(plotOf(values(Number.MAX_VALUE)).runs[0]!.curve, "M0 0l240 0");
});

Deno.test("plot() marks the highest where it is 8 % of the scale above and 9 % of the width away", () => {
  const highest = (index: number, value: number) =>
    plotOf(values(1, { [index]: value }), { limit: 10 }).highest?.value;
  assert.equal(highest(120, 1.8), 1.8);
  assert.equal(highest(120, 1.79), undefined);
  assert.equal(highest(217, 9), 9);
  assert.equal(highest(219, 9), undefined);
  const { x, y } = plotOf(values(1, { 139: 5.2 }), { limit: 8 }).highest!;
  assert.deepEqual([x, y], [58.02, 35]);
});

Deno.test("plot() names the limit on the side away from the highest", () => {
  const isLeft = (index: number) =>
    plotOf(values(1, { [index]: 2 }), { limit: 4 }).isLimitNamedLeft;
  assert.deepEqual([107, 109].map(isLeft), [false, true]);
});

Deno.test("plot() has the limit's number and a 0 where the newest value and the line leave room", () => {
  const rooms = (newest: number, limit: number) => {
    const { hasLimitNumber, hasZero } = plotOf(values(newest, { 9: 10 }), { limit });
    return [hasLimitNumber, hasZero];
  };
  assert.deepEqual(rooms(5, 8), [true, true]);
  assert.deepEqual(rooms(6.7, 8), [true, true]);
  assert.deepEqual(rooms(6.71, 8), [false, true]);
  assert.deepEqual(rooms(9.29, 8), [false, true]);
  assert.deepEqual(rooms(9.3, 8), [true, true]);
  assert.deepEqual(rooms(1.3, 8), [true, true]);
  assert.deepEqual(rooms(1.29, 8), [true, false]);
  assert.deepEqual(rooms(5, 1.2), [true, false]);
});

Deno.test("plot() has ticks at round times, without those at the ends", () => {
  const ticksOf = (length: number, offset = 0, end = END) => {
    const { ticks } = plot({ ...series([]), end }, { length, offsetAt: () => offset });
    const time = (at: number) => new Date(at - offset * MINUTE).toISOString().slice(11, 16);
    return ticks.map(({ x, at, isMinor }) => `${x} ${time(at)}${isMinor ? " minor" : ""}`);
  };
  assert.deepEqual(ticksOf(HOUR), ["23.19 13:45", "48.19 14:00", "73.19 14:15"]);
  assert.deepEqual(ticksOf(5 * MINUTE), [
    "18.33 14:27 minor",
    "38.33 14:28",
    "58.33 14:29 minor",
    "78.33 14:30",
  ]);
  assert.deepEqual(ticksOf(15 * MINUTE), ["26.11 14:20", "59.44 14:25"]);
  assert.deepEqual(ticksOf(24 * HOUR), [
    "14.51 18:00",
    "27.01 21:00 minor",
    "39.51 00:00",
    "52.01 03:00 minor",
    "64.51 06:00",
    "77.01 09:00 minor",
    "89.51 12:00 minor",
  ]);
  assert.deepEqual(ticksOf(12 * HOUR), ["29.02 06:00", "54.02 09:00 minor", "79.02 12:00"]);
  assert.deepEqual(ticksOf(3 * HOUR).slice(0, 3), [
    "16.06 12:00",
    "32.73 12:30 minor",
    "49.4 13:00",
  ]);
  assert.deepEqual(ticksOf(12 * HOUR, -345), [
    "6.1 09:00 minor",
    "31.1 12:00",
    "56.1 15:00 minor",
    "81.1 18:00",
  ]);
});

Deno.test("plot() has its ticks at round local times before and after a change of summer time", () => {
  const change = Date.UTC(2026, 9, 25, 1); // 03:00 becomes 02:00
  const offsetAt = (at: number) => at < change ? -120 : -60;
  const { ticks } = plot({ ...series([]), end: change + 12 * HOUR }, {
    length: 24 * HOUR,
    offsetAt,
  });
  const hours = ticks.map(({ at }) => new Date(at - offsetAt(at) * MINUTE).getUTCHours());
  assert.deepEqual(hours, [18, 21, 0, 3, 6, 9, 12]);
  const usual = plot(series([]), { length: 24 * HOUR }).ticks;
  assert(usual.every(({ at }) => new Date(at).getHours() % 3 === 0));
});

Deno.test("plot() writes into holes of more than a tenth of the width", () => {
  const history = new History({ interval: 5_000 });
  const addFor = (from: number, to: number) => {
    for (let at = END - from * MINUTE; at <= END - to * MINUTE; at += 5_000) history.add(1, at);
  };
  addFor(60, 47.5);
  addFor(30, 25);
  addFor(19, 18.5);
  addFor(12.25, 0);
  const [hour] = plotsOf(history, END);
  assert.deepEqual(hour!.holes, [{ x: 35.42, isMinor: true }, { x: 74.38, isMinor: true }]);
  assert.deepEqual(hour!.runs.length, 4);
});

Deno.test("plot() breaks the curve at the readings beside a hole, however short it is beside a step", () => {
  const history = new History({ interval: 5_000 });
  const timeOf = (hours: number, minutes: number, seconds: number) =>
    Date.UTC(2026, 10, 25, hours, minutes, seconds);
  const early = [timeOf(2, 33, 45), timeOf(2, 36, 15)] as const;
  const late = [timeOf(4, 31, 15), timeOf(4, 38, 45)] as const;
  const isIn = (at: number, [from, to]: readonly [number, number]) => at > from && at < to;
  for (let at = END - 24 * HOUR; at <= END; at += 5_000) {
    if (!isIn(at, early) && !isIn(at, late)) history.add(1, at);
  }
  const curves = curvesOf(plotsOf(history, END)[1]!);
  const ends = curves.map((curve) => [curve[0]![0], curve.at(-1)![0]]);
  assert.deepEqual(ends, [[0, 144.5], [145, 168], [169.5, 288]]);
});

Deno.test("plot() draws a hole to the edge that began before the span", () => {
  const history = new History({ interval: 5_000 });
  history.add(1, END - 3 * HOUR);
  for (let at = END - 40 * MINUTE; at <= END; at += 5_000) history.add(1, at);
  const [hour] = plotsOf(history, END);
  assert.deepEqual(hour!.holes, [{ x: 16.67, isMinor: false }]);
  assert.deepEqual(curvesOf(hour!)[0]![0]![0], 80);
});

Deno.test("plot() without a list of holes has one where steps are empty for more than two intervals", () => {
  const every = (distance: number) =>
    values(null, Object.fromEntries([...Array(241)].map((_, n) => [n, n % distance ? null : 1])));
  const runs = (distance: number, interval: number) =>
    plot(series(every(distance), { interval }), { length: HOUR }).runs.length;
  assert.equal(runs(1, 5_000), 1);
  assert.equal(runs(2, 5_000), 121);
  assert.equal(runs(2, 15_000), 1);
  assert.equal(runs(3, 15_000), 81);
  assert.equal(runs(80, 20 * MINUTE), 1);
});

/** Readings of some hours with holes, one interval apart beside them. */
const ANY_HISTORY = fc.record({
  interval: fc.constantFrom(500, 5_000, 60_000, 20 * MINUTE),
  runs: fc.array(
    fc.record({
      values: fc.array(fc.integer({ min: 0, max: 2_000 }).map((value) => value / 100), {
        minLength: 1,
        maxLength: 200,
        size: "max",
      }),
      hole: fc.double({ min: 3, max: 300, noNaN: true }),
    }),
    { minLength: 1, maxLength: 10, size: "max" },
  ),
  late: fc.constantFrom(0, 1, 777, 60_000),
  limit: fc.constantFrom(undefined, 0, 1, 8, 64),
}).map(({ interval, runs, late, limit }) => {
  const history = new History({ interval, limit });
  let at = END;
  for (const { values, hole } of runs) {
    at += Math.ceil(hole * interval) + 500;
    for (const value of values) history.add(value, at += interval);
  }
  return { history, limit, end: at + late };
});

Deno.test("plot() gives points that are within rounding of the values, in order, inside its box", () => {
  fc.assert(fc.property(ANY_HISTORY, ({ history, limit, end }) => {
    for (const { series, length, summary } of [history.hour(end), history.day(end)]) {
      const shown = plot(series, { length, limit, ...summary });
      const curves = curvesOf(shown);
      const yOf = (value: number) => HEIGHT * (1 - value / shown.top);
      const first = Math.floor(end / series.step) - series.values.length + 1;
      for (const [index, value] of series.values.entries()) {
        const middle = index === 0
          ? 0
          : ((first + index + 0.5) * series.step - end + length) / series.step;
        const from = Math.max(middle - 0.75, 0);
        const ys = curves.flatMap((curve) => curve)
          .filter(([x]) => x >= from && x <= middle + 0.75).map(([, y]) => y);
        const isLevel = curves.some((curve) => {
          const range = rangeAt(curve, middle);
          return range && value !== null && Math.abs(range[0] - yOf(value)) <= 0.51;
        });
        const isThere = value === null || isLevel ||
          ys.some((y) => Math.abs(y - yOf(value)) <= 0.51);
        assert(isThere, `${value} of step ${index} is not drawn`);
      }
      for (const [x, y] of curves.flat()) {
        assert(x >= 0 && x <= shown.width && y >= 0 && y <= HEIGHT);
      }
      for (const parts of [curves, shown.above.map(({ curve }) => pointsOf(curve))]) {
        const xs = parts.flat().map(([x]) => x);
        assert.deepEqual(xs, xs.toSorted((a, b) => a - b));
      }
      const { x, y } = shown.newest!;
      const [lastX, lastY] = curves.at(-1)!.at(-1)!;
      assert(Math.abs(x - (1 - (end - summary!.latest.at) / length) * 100) <= 0.02);
      assert(Math.abs(lastX - x / 100 * shown.width) <= 0.03, `${lastX} is not at ${x} %`);
      assert(Math.abs(lastY - y / 100 * HEIGHT) <= 0.6, `${lastY} is not at ${y} %`);
    }
  }));
});

Deno.test("plot() has one run more than there are holes between its steps", () => {
  fc.assert(fc.property(ANY_HISTORY, ({ history, limit, end }) => {
    for (const { series, length, summary } of [history.hour(end), history.day(end)]) {
      const { step, values } = series;
      const first = (Math.floor(end / step) - values.length + 1 + values.findIndex((value) =>
        value !== null
      )) * step;
      const between = summary!.holes.filter(([from, to]) =>
        from >= first && Math.floor(from / step) < Math.floor(to / step)
      );
      const { runs } = plot(series, { length, limit, ...summary });
      assert.equal(runs.length, between.length + 1);
    }
  }));
});

Deno.test("plot() has paths of bounded length", () => {
  const longest = Array.from({ length: 289 }, (_, index) => index % 2 ? 9 : 1e6);
  const size = (strokes: readonly Stroke[]) =>
    strokes.reduce((sum, { area, curve }) => sum + area.length + curve.length, 0);
  const holes = Array.from({ length: 289 }, (_, index) => {
    const end = Math.floor(END / (5 * MINUTE)) * 5 * MINUTE - index * 5 * MINUTE;
    return [end - 20_000, end + 20_000] as const;
  }).reverse();
  const options = { length: 24 * HOUR, limit: 8 };
  const day = series(longest, { step: 5 * MINUTE });
  const whole = plot(day, options);
  const broken = plot(day, { ...options, holes });
  assert.deepEqual([whole.runs.length, broken.runs.length], [1, 289]);
  for (const { runs, above } of [whole, broken]) {
    assert(size(runs) + size(above) < 40_000, `${size(runs)} and ${size(above)} characters`);
  }
});
