/**
 * `results.json`: one figure of one side a line, so that the diff of a new run is readable.
 *
 * @module
 */
import type { Row, Spread } from "./figures.ts";

/** The contents of the file. */
export interface Results {
  /** The machine and the versions. */
  machine: Record<string, string | number>;
  /** What was skipped, and why. */
  missing: string[];
  /** The measures, by name. */
  measures: Record<string, Measured>;
}

/** The results of one measure. */
export interface Measured {
  /** When it last ran. */
  date: string;
  /** How many rounds it had. */
  rounds: number;
  /** The ratios in the targets, by the texts of the targets. */
  ratios: Record<string, Spread>;
  /** The figures. */
  rows: Row[];
}

const FILE = new URL("./results.json", import.meta.url);
const COLUMNS = ["median", "least", "most", "to bare", "to bare, least", "to bare, most"];

/** The format of the file: `figures[figure][at][side]` has the numbers that `COLUMNS` names. */
interface Written {
  machine: Results["machine"];
  missing: string[];
  columns: string[];
  measures: Record<string, {
    date: string;
    rounds: number;
    ratios: Record<string, number[]>;
    figures: Record<string, Record<string, Record<string, number[]>>>;
  }>;
}

/** Reads the results; empty where there is no file. */
export async function readResults(): Promise<Results> {
  try {
    const { machine, missing, measures }: Written = JSON.parse(await Deno.readTextFile(FILE));
    return {
      machine,
      missing,
      measures: mapValues(measures, ({ ratios, figures, ...about }) => ({
        ...about,
        ratios: mapValues(ratios, spreadOf),
        rows: rowsOf(figures),
      })),
    };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { machine: {}, missing: [], measures: {} };
  }
}

/** Writes the results. */
export async function writeResults({ machine, missing, measures }: Results): Promise<void> {
  const written: Written = {
    machine,
    missing,
    columns: COLUMNS,
    measures: mapValues(measures, ({ date, rounds, ratios, rows }) => ({
      date,
      rounds,
      ratios: mapValues(ratios, numbersOf),
      figures: figuresOf(rows),
    })),
  };
  await Deno.writeTextFile(FILE, format(written) + "\n");
}

function rowsOf(figures: Written["measures"][string]["figures"]): Row[] {
  return Object.entries(figures).flatMap(([figure, byAt]) =>
    Object.entries(byAt).flatMap(([at, bySide]) =>
      Object.entries(bySide).map(([side, numbers]): Row => ({
        figure,
        at,
        side,
        ...spreadOf(numbers),
        ...(numbers.length > 3 && { toBare: spreadOf(numbers.slice(3)) }),
      }))
    )
  );
}

function figuresOf(rows: readonly Row[]): Written["measures"][string]["figures"] {
  const figures: Written["measures"][string]["figures"] = {};
  for (const { figure, at, side, toBare, ...spread } of rows) {
    const bySide = (figures[figure] ??= {})[at] ??= {};
    bySide[side] = [...numbersOf(spread), ...(toBare ? numbersOf(toBare) : [])];
  }
  return figures;
}

function spreadOf([median, least, most]: number[]): Spread {
  return { median: median!, least: least!, most: most! };
}

function numbersOf({ median, least, most }: Spread): number[] {
  return [median, least, most].map((value) => Number(value.toFixed(4)));
}

function mapValues<T, U>(values: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}

/** JSON with a line for each member, and each list of numbers on one line. */
function format(value: unknown, indent = ""): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const list = Array.isArray(value);
  if (list && value.every((item) => typeof item === "number")) return `[${value.join(", ")}]`;
  const deeper = indent + "  ";
  const members = Object.entries(value).map(([name, member]) =>
    deeper + (list ? "" : `${JSON.stringify(name)}: `) + format(member, deeper)
  );
  const [open, close] = list ? "[]" : "{}";
  return members.length > 0 ? `${open}\n${members.join(",\n")}\n${indent}${close}` : open! + close;
}
