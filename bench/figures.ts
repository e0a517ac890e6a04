/**
 * Statistics over the rounds: medians, spread and ratios.
 *
 * @module
 */

/** One figure of one side in one round. */
export interface Sample {
  /** The round, from 0. */
  round: number;
  /** The side, such as `turbo-deno protocol`. */
  side: string;
  /** The number of readers, or what else was varied. */
  at: string;
  /** What was measured, with its unit. */
  figure: string;
  /** The figure. */
  value: number;
}

/** One figure of one side in all rounds. */
export interface Series {
  side: string;
  at: string;
  figure: string;
  /** By round; a round that failed is missing. */
  values: Map<number, number>;
}

/** The median of several values, and their spread. */
export interface Spread {
  median: number;
  least: number;
  most: number;
}

/** One figure of one side, as it is stored. */
export interface Row extends Spread {
  side: string;
  at: string;
  figure: string;
  /** The ratios to the bare loop, each within one round; left out where there are none. */
  toBare?: Spread;
}

/** Groups the rounds by figure. */
export function seriesOf(samples: readonly Sample[]): Series[] {
  const groups = Map.groupBy(samples, ({ side, at, figure }) => [figure, at, side].join("|"));
  return [...groups.values()].map((group) => {
    const { side, at, figure } = group[0]!;
    const values = new Map(group.map(({ round, value }) => [round, value]));
    return { side, at, figure, values };
  });
}

/** The row of a figure, where it was measured. */
export function rowOf(
  measured: { readonly rows: readonly Row[] } | undefined,
  { figure, side, at }: Pick<Row, "figure" | "side" | "at">,
): Row | undefined {
  return measured?.rows.find((row) => row.figure === figure && row.side === side && row.at === at);
}

/** Summarizes the rounds, for storing. */
export function rowsOf(all: readonly Series[]): Row[] {
  return all.map((series) => {
    const { side, at, figure, values } = series;
    const row: Row = { side, at, figure, ...spread([...values.values()]) };
    const bare = all.find((other) =>
      other.side === "bare-deno" && other.figure === figure && other.at === at
    );
    const toBare = bare && bare !== series ? ratio(series, bare) : undefined;
    return toBare ? { ...row, toBare } : row;
  });
}

/**
 * The ratio of two figures, each computed within one round. `undefined` where no round has both, or the
 * second is 0.
 */
export function ratio(series: Series, other: Series): Spread | undefined {
  const ratios = [...series.values].filter(([round]) => other.values.has(round))
    .map(([round, value]) => value / other.values.get(round)!);
  return ratios.length > 0 && ratios.every(Number.isFinite) ? spread(ratios) : undefined;
}

function spread(values: readonly number[]): Spread {
  const rounded = values.map((value) => Number(value.toPrecision(5)));
  return { median: median(rounded), least: Math.min(...rounded), most: Math.max(...rounded) };
}

/** The median of a list of figures. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const value = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return Number(value.toPrecision(5));
}

/** The quantile of a list of figures: the one below which the given part of them lies. */
export function quantile(list: readonly number[], part: number): number {
  return list.toSorted((a, b) => a - b)[Math.round(part * (list.length - 1))]!;
}
