import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { History, type HistoryOptions, type Hole, type Moment, type Span } from "./history.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A moment that begins no step of any length. */
const NOON = Date.UTC(2026, 10, 25, 12, 1, 7, 89);

/** A history of readings, each some milliseconds after the one before it. */
function filled(options: HistoryOptions, readings: readonly Moment[]): History {
  const history = new History(options);
  for (const { value, at } of readings) history.add(value, at);
  return history;
}

/** So many readings, one interval apart, of which the last is at noon. */
function regular(count: number, interval: number, valueOf = (_index: number) => 1): Moment[] {
  return Array.from({ length: count }, (_, index) => {
    return { value: valueOf(index), at: NOON - (count - 1 - index) * interval };
  });
}

/** The value of the step that contains a moment. */
function valueAt({ series }: Pick<Span, "series">, at: number): number | null | undefined {
  const { end, step, values } = series;
  return values.at(Math.floor(at / step) - Math.floor(end / step) - 1);
}

/** Readings with any distances between half an interval and several, and any values of two decimals. */
const ANY_READINGS = fc.record({
  interval: fc.constantFrom(50, 500, 5_000, 60_000, 3_600_000),
  parts: fc.array(
    fc.record({
      distance: fc.oneof(
        { weight: 8, arbitrary: fc.double({ min: 0.5, max: 2, noNaN: true }) },
        { weight: 1, arbitrary: fc.double({ min: 2, max: 300, noNaN: true }) },
      ),
      value: fc.integer({ min: 0, max: 2_000 }).map((value) => value / 100),
    }),
    { minLength: 1, maxLength: 300, size: "max" },
  ),
  late: fc.integer({ min: 0, max: 20 * MINUTE }),
}).map(({ interval, parts, late }) => {
  let at = NOON;
  const readings = parts.map(({ distance, value }) => {
    at += Math.ceil(distance * interval);
    return { value, at };
  });
  return { interval, readings, end: at + late };
});

/** The holes between readings, by the words of the design. */
function holesOf(readings: readonly Moment[], interval: number, start: number): Hole[] {
  return readings.slice(1)
    .map(({ at }, index): Hole => [readings[index]!.at, at])
    .filter(([from, to]) => to - from > 2 * interval + 500 && to > start)
    .map(([from, to]) => [Math.max(from, start), to]);
}

Deno.test("History.hour() has every reading: none is above the value of its step, and that value is read", () => {
  fc.assert(fc.property(ANY_READINGS, ({ interval, readings, end }) => {
    const span = filled({ interval }, readings).hour(end);
    const { values, step } = span.series;
    assert.equal(values.length, 241);
    const start = (Math.floor(end / step) - 240) * step;
    const shown = readings.filter(({ at }) => at >= start);
    for (const { value, at } of shown) assert(valueAt(span, at)! >= value, `${value} at ${at}`);
    for (const [index, highest] of values.entries()) {
      const from = start + index * step;
      const read = shown.filter(({ at }) => at >= from && at < from + step);
      assert.equal(highest, read.length ? Math.max(...read.map(({ value }) => value)) : null);
    }
  }));
});

Deno.test("History.hour() and day() sum up what an account of all readings does, holes included", () => {
  fc.assert(fc.property(ANY_READINGS, ({ interval, readings, end }) => {
    const limit = 10;
    const history = filled({ interval, limit }, readings);
    for (const { series, summary } of [history.hour(end), history.day(end)]) {
      const { step, values } = series;
      const start = (Math.floor(end / step) - values.length + 1) * step;
      const shown = readings.filter(({ at }) => at >= start);
      if (shown.length === 0) {
        assert.equal(summary, undefined);
        continue;
      }
      const byValue = shown.toSorted((a, b) => a.value - b.value || a.at - b.at);
      const highest = byValue.find(({ value }) => value === byValue.at(-1)!.value);
      assert.deepEqual(summary!.lowest, byValue[0]);
      assert.deepEqual(summary!.highest, highest);
      assert.deepEqual(summary!.latest, readings.at(-1));
      assert.deepEqual(summary!.holes, holesOf(readings, interval, start));
      const times = readings.map(({ at }, index) => {
        const time = at - (readings[index - 1]?.at ?? -Infinity);
        return time > 2 * interval + 500 ? interval : time;
      }).slice(-shown.length);
      const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
      const above = sum(times.filter((_, index) => shown[index]!.value > limit));
      const mean = sum(times.map((time, index) => time * shown[index]!.value)) / sum(times);
      assert.equal(summary!.aboveLimit, above);
      assert(Math.abs(summary!.mean - mean) < 1e-9, `${summary!.mean} is not ${mean}`);
    }
  }));
});

Deno.test("History.hour() shows 5, 15 or 60 minutes, the least that holds all readings of the hour", () => {
  const lengths = [0, 5, 5.1, 15, 15.1, 60, 60.1].map((minutes) => {
    const history = filled({ interval: MINUTE }, [{ value: 1, at: NOON - minutes * MINUTE }]);
    history.add(1, NOON);
    return history.hour(NOON).length / MINUTE;
  });
  assert.deepEqual(lengths, [5, 5, 15, 15, 60, 60, 5]);
});

Deno.test("History.day() shows 3, 12 or 24 hours in steps of 5 minutes", () => {
  const sizes = [0, 3, 3.1, 12, 12.1, 24, 24.1].map((hours) => {
    const history = filled({ interval: HOUR }, [{ value: 1, at: NOON - hours * HOUR }]);
    history.add(1, NOON);
    const { length, series } = history.day(NOON);
    return `${length / HOUR} h, ${series.values.length - 1} x ${series.step / MINUTE} min`;
  });
  const [three, half, day] = ["3 h, 36 x 5 min", "12 h, 144 x 5 min", "24 h, 288 x 5 min"];
  assert.deepEqual(sizes, [three, three, half, half, day, day, three]);
});

Deno.test("History.hour() keeps a value in its step while time moves on", () => {
  const history = filled({ interval: 1_000 }, regular(3_600, 1_000, (index) => index % 97));
  const before = history.hour(NOON).series;
  for (let end = NOON; end < NOON + 40_000; end += 1_300) {
    const { values } = history.hour(end).series;
    const moved = Math.floor(end / before.step) - Math.floor(NOON / before.step);
    assert.deepEqual(values.slice(0, 240 - moved), before.values.slice(moved, 240));
  }
});

Deno.test("History has a hole only where two readings are more than two intervals apart", () => {
  const holesAfter = (distance: number) => {
    const [first, second] = [{ value: 1, at: NOON - distance }, { value: 1, at: NOON }];
    const history = filled({ interval: 5_000 }, [first, second]);
    return [history.hour(NOON), history.day(NOON)].map(({ summary }) => summary!.holes);
  };
  assert.deepEqual(holesAfter(10_500), [[], []]);
  const hole = [NOON - 10_501, NOON];
  assert.deepEqual(holesAfter(10_501), [[hole], [hole]]);
});

Deno.test("History.hour() cuts a hole that began before it", () => {
  const history = filled({ interval: 5_000 }, [{ value: 1, at: NOON - 2 * HOUR }]);
  history.add(2, NOON);
  const { series, summary } = history.hour(NOON);
  const start = (Math.floor(NOON / series.step) - 240) * series.step;
  assert.deepEqual(summary!.holes, [[start, NOON]]);
  assert.deepEqual(history.day(NOON).summary!.holes, [[NOON - 2 * HOUR, NOON]]);
});

Deno.test("History.hour() has no hole between readings whose interval is longer than a step", () => {
  const history = filled({ interval: 2 * MINUTE }, regular(31, 2 * MINUTE));
  const { series, summary } = history.hour(NOON);
  assert.deepEqual(summary!.holes, []);
  assert.equal(series.values.filter((value) => value !== null).length, 31);
});

Deno.test("History is empty without readings, and where all are older than the span", () => {
  const history = new History({ interval: 5_000 });
  for (const span of [history.hour(NOON), history.day(NOON)]) {
    assert.equal(span.summary, undefined);
    assert(span.series.values.every((value) => value === null));
  }
  history.add(1, NOON - 2 * HOUR);
  assert.equal(history.hour(NOON).summary, undefined);
  assert.deepEqual(history.day(NOON).summary!.latest, { value: 1, at: NOON - 2 * HOUR });
  assert.equal(history.day(NOON + DAY).summary, undefined);
});

Deno.test("History.trend() and dayTrend() have the highest of each minute and quarter of an hour", () => {
  const readings = regular(26 * 60, MINUTE, (index) => 2_000 - index);
  const history = filled({ interval: MINUTE }, readings);
  const [hour, day] = [history.trend(NOON), history.dayTrend(NOON)];
  assert.deepEqual([hour.step, hour.values.length], [MINUTE, 61]);
  assert.deepEqual([day.step, day.values.length], [15 * MINUTE, 97]);
  for (const series of [hour, day]) {
    const start = (Math.floor(NOON / series.step) - series.values.length + 1) * series.step;
    const expected = series.values.map((_, index) => {
      const from = start + index * series.step;
      const read = readings.filter(({ at }) => at >= from && at < from + series.step);
      return Math.max(...read.map(({ value }) => value));
    });
    assert.deepEqual(series.values, expected);
  }
});

Deno.test("History takes no more memory after two days than after two hours and a day of steps", () => {
  const interval = 500;
  const history = new History({ interval });
  const sizes = new Map<number, number>();
  for (let count = 1; count <= 2 * DAY / interval; count++) {
    history.add(count % 7, NOON + count * interval);
    const hours = count * interval / HOUR;
    if ([2, 24, 25, 48].includes(hours)) sizes.set(hours, history.byteLength);
  }
  assert.equal(sizes.get(48), sizes.get(25));
  const steps = (DAY - 2 * HOUR) / (5 * MINUTE) * 8 * 8;
  assert(sizes.get(24)! <= sizes.get(2)! + steps, `${[...sizes]}`);
  assert(sizes.get(48)! < 220_000, `${sizes.get(48)} bytes`);
});

Deno.test("History makes readings that come too fast one, and loses neither the highest nor the latest", () => {
  const history = new History({ interval: 5_000 });
  for (let count = 0; count < 100_000; count++) {
    history.add(count === 50_000 ? 9 : count % 3, NOON + count * 20);
  }
  const end = NOON + 99_999 * 20;
  for (const { summary } of [history.hour(end), history.day(end)]) {
    assert.deepEqual(summary!.highest.value, 9);
    assert.deepEqual(summary!.latest, { value: 0, at: end });
  }
  assert(history.byteLength < 80_000, `${history.byteLength} bytes`);
});

Deno.test("History keeps the 500 longest holes", () => {
  const history = new History({ interval: 50 });
  let at = NOON;
  for (let count = 0; count < 1_000; count++) history.add(1, at += 1_000 + count % 10);
  const { holes } = history.hour(at).summary!;
  assert.equal(holes.length, 500);
  assert.deepEqual(Math.min(...holes.map(([from, to]) => to - from)), 1_005);
});

Deno.test("History.shift() moves everything, so distances stay", () => {
  const readings = regular(1_000, 5_000, (index) => index % 11).toSpliced(500, 100);
  const history = filled({ interval: 5_000, limit: 5 }, readings);
  const shapes = (end: number) =>
    [history.hour(end), history.day(end)].map(({ series, summary }) => {
      const { highest, lowest, latest, holes, ...rest } = summary!;
      const times = [highest.at, lowest.at, latest.at, ...holes.flat()].map((at) => end - at);
      const since = end - history.since((value) => value > 3)!;
      return { ...rest, times, since, values: series.values };
    });
  const before = shapes(NOON);
  history.shift(-10 * HOUR);
  assert.deepEqual(shapes(NOON - 10 * HOUR), before);
});

Deno.test("History.add() takes an earlier time for a clock that was set back", () => {
  const history = filled({ interval: 5_000 }, regular(100, 5_000));
  history.add(2, NOON - HOUR);
  const { summary, series } = history.hour(NOON - HOUR);
  assert.deepEqual(summary!.holes, []);
  assert.deepEqual(summary!.highest, { value: 2, at: NOON - HOUR });
  assert.equal(summary!.lowest.at, NOON - HOUR - 100 * 5_000);
  assert.equal(series.values.at(-1), 2);
});

Deno.test("History keeps few steps when the clock is set again and again", () => {
  const history = new History({ interval: 1_000 });
  for (let count = 0; count < 5_000; count++) {
    history.shift(5 * MINUTE - 1_000);
    history.add(1, count * 5 * MINUTE);
  }
  assert.deepEqual(history.day(5_000 * 5 * MINUTE).summary!.holes, []);
  assert(history.byteLength < 240_000, `${history.byteLength} bytes`);
});

Deno.test("History.since() says when the run of latest readings began, which a hole ends", () => {
  const isHigh = (value: number) => value > 5;
  const values = [9, 1, 7, 8, 9];
  const history = filled({ interval: 5_000 }, regular(5, 5_000, (index) => values[index]!));
  assert.equal(history.since(isHigh), NOON - 10_000);
  assert.equal(history.since(() => true), NOON - 20_000);
  history.add(6, NOON + MINUTE);
  assert.equal(history.since(isHigh), NOON + MINUTE);
  history.add(5, NOON + MINUTE + 5_000);
  assert.equal(history.since(isHigh), undefined);
  assert.equal(new History({ interval: 5_000 }).since(() => true), undefined);
});

Deno.test("History.add(), shift() and the constructor reject what is no number", () => {
  const history = new History({ interval: 5_000 });
  const message = /Cannot remember NaN at 1: finite numbers needed/;
  assert.throws(() => history.add(NaN, 1), { name: "RangeError", message });
  assert.throws(() => history.add(1, Infinity), RangeError);
  assert.throws(
    () => history.shift(NaN),
    /Cannot move a history by NaN ms: a finite number needed/,
  );
  assert.throws(() => new History({ interval: 0 }), /with an interval of 0: above 0 needed/);
});

Deno.test("History.from() counts anew what was above the limit, where that is another one", () => {
  const history = new History({ interval: 60_000, limit: 4 });
  const begin = Date.UTC(2026, 10, 25, 12); // so that each five minutes are either below 4 or above it
  for (let minute = 0; minute < 20; minute++) {
    history.add(minute < 10 ? 3 : minute % 2 === 0 ? 6 : 10, begin + minute * 60_000);
  }
  const end = begin + 19 * 60_000;
  const json = JSON.parse(JSON.stringify(history));
  const aboveWith = (limit?: number) =>
    History.from(json, { interval: 60_000, limit, now: end }).day(end).summary!.aboveLimit / 60_000;
  assert.equal(aboveWith(4), 10);
  assert.equal(aboveWith(2), 20);
  assert.equal(aboveWith(8), 5, "half of the time between 6 and 10");
  assert.equal(aboveWith(10), 0);
  assert.equal(aboveWith(), 0);
});

Deno.test("History.from() reads what toJSON() gave, and goes on with it", () => {
  fc.assert(fc.property(ANY_READINGS, ({ interval, readings, end }) => {
    const options = { interval, limit: 10 };
    const history = filled(options, readings);
    const text = JSON.stringify(history);
    const now = readings.at(-1)!.at;
    const restored = History.from(JSON.parse(text), { ...options, now });
    assert.equal(JSON.stringify(restored), text);
    assert.deepEqual(restored.day(end), history.day(end));
    assert.deepEqual(restored.hour(end).series, history.hour(end).series);
    const isWhole = now - readings[0]!.at < HOUR;
    if (isWhole) assert.deepEqual(restored.hour(end), history.hour(end));
    for (const one of [history, restored]) one.add(3, end + 1);
    assert.deepEqual(restored.day(end + 1), history.day(end + 1));
  }));
});

Deno.test("History.from() shows the time without the process as a hole, and keeps another interval's line", () => {
  const before = filled({ interval: MINUTE }, regular(30, MINUTE));
  const now = NOON + 3 * MINUTE;
  const history = History.from(JSON.parse(JSON.stringify(before)), { interval: 5_000, now });
  history.add(1, now);
  assert.deepEqual(history.hour(now).summary!.holes, [[NOON, now]]);
  assert.equal(history.hour(now).length, HOUR);
});

Deno.test("History.from() leaves out what is later than now, and what is older than a day", () => {
  const history = filled({ interval: MINUTE }, regular(100, MINUTE, (index) => index));
  const json = JSON.parse(JSON.stringify(history));
  const early = NOON - 50 * MINUTE - 1;
  const cut = History.from(json, { interval: MINUTE, now: early });
  for (const { summary } of [cut.hour(early), cut.hour(NOON), cut.day(NOON)]) {
    assert(summary!.highest.value <= 48, `${summary!.highest.value}`);
    assert.deepEqual(summary!.latest, { value: 48, at: NOON - 51 * MINUTE });
  }
  const late = NOON + DAY + HOUR;
  assert.equal(History.from(json, { interval: MINUTE, now: late }).day(late).summary, undefined);
  assert.equal(
    History.from(json, { interval: MINUTE, now: NOON - DAY }).day(NOON).summary,
    undefined,
  );
});

Deno.test("History.from() leaves out each step, reading and hole that is wrong", () => {
  const restored = (parts: object, latest = [NOON, 1]) =>
    History.from({ latest, ...parts }, { interval: 5_000, now: NOON });
  const summary = (steps: unknown[]) => restored({ steps }).day(NOON).summary;
  const step = [0, 1, 0, 2, 0, 5_000, 7_500, 0]; // age, lowest, highest, time, area, time above
  assert.equal(summary([step])!.mean, 1.5);
  assert.equal(summary([step.with(6, 1e9)])!.mean, 2);
  assert.equal(summary([step, step.with(3, 9)])!.highest.value, 2);
  const wrong = [[0, -1], [0, 25 * HOUR], [0, 0.5], [1, 3], [2, -1], [4, -1], [5, 0], [5, 1e12]];
  for (const [index, value] of [...wrong, [7, -1], [7, 5_001], [8, 0]] as [number, number][]) {
    const row = Object.assign([...step], { [index]: value });
    assert.equal(summary([row]), undefined, `${row}`);
    assert.equal(restored({ steps: [row] }).byteLength, restored({}).byteLength, `${row}`);
  }
  const early = restored({ steps: [step.with(0, HOUR).with(2, HOUR).with(4, HOUR)] }, [
    NOON + 1,
    5,
  ]);
  assert.deepEqual(early.day(NOON).summary!.latest, { value: 2, at: NOON + 1 - HOUR });

  const since = (readings: unknown[]) => restored({ readings }).since(() => true);
  assert.equal(since([[10_000, 1], [5_000, 1]]), NOON - 10_000);
  const { highest } = restored({ readings: [[10_000, 1], [20_000, 9]] }).hour(NOON).summary!;
  assert.deepEqual(highest, { value: 1, at: NOON - 10_000 });
  for (const row of [[2 * HOUR, 1], [-1, 1], [0.5, 1], [0, null]]) {
    assert.equal(since([row]), undefined, `${row}`);
  }

  const holes = (rows: unknown[]) =>
    restored({ steps: [step], holes: rows }).day(NOON).summary!.holes;
  assert.deepEqual(holes([[9_000, 1_000]]), [[NOON - 9_000, NOON - 1_000]]);
  for (const row of [[1_000, 9_000], [9_000, -1], [1e300, 0], [26 * HOUR, 25 * HOUR]]) {
    assert.deepEqual(holes([row]), [], `${row}`);
  }
  assert.equal(holes([[9_000, 5_000], [6_000, 1_000]]).length, 1);
});

Deno.test("History.from() gives an empty history for any other value, and works with a damaged one", () => {
  const options = { interval: 5_000, now: NOON };
  const whole = JSON.parse(JSON.stringify(filled(options, regular(20, 5_000).toSpliced(5, 5))));
  const damaged = fc.tuple(fc.constantFrom(...Object.keys(whole)), fc.anything()).map(
    ([key, value]) => ({ ...whole, [key]: value }),
  );
  const row = fc.array(fc.oneof(fc.integer(), fc.double(), fc.anything()), { maxLength: 9 });
  const rows = fc.record({
    latest: fc.constant([NOON, 1]),
    readings: fc.array(row),
    steps: fc.array(row),
    holes: fc.array(row),
  });
  fc.assert(fc.property(fc.oneof(fc.anything(), damaged, rows), (json) => {
    const history = History.from(json, options);
    history.add(1, NOON + 1);
    for (const { summary, series } of [history.hour(NOON + 1), history.day(NOON + 1)]) {
      assert(summary!.highest.value >= summary!.lowest.value);
      assert(series.values.every((value) => value === null || Number.isFinite(value)));
      assert(summary!.holes.every(([from, to]) => from < to && to <= NOON + 1));
    }
  }));
  for (
    const json of [null, undefined, 1, "", [], {}, { latest: [NOON, "1"] }, { latest: [0.5, 1] }]
  ) {
    assert.equal(JSON.stringify(History.from(json, options)), JSON.stringify(new History(options)));
  }
});
