/**
 * Formats figures as plain text.
 *
 * @module
 */
import type { Row } from "./figures.ts";

/** The number of rows from which a table is too long to read. */
const MANY = 100;

/** Formats rows as a table: a line for each or, if there are many, a column for each side. */
export function table(rows: readonly Row[]): string {
  return rows.length > MANY ? columns(rows) : list(rows);
}

/** Formats a number with three significant digits. */
export function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function list(rows: readonly Row[]): string {
  const cells = inOrder(rows).map(({ figure, at, side, median, least, most, toBare }) => {
    const ratio = toBare === undefined ? "" : toBare.median.toFixed(2);
    return [figure, at, side, short(median), short(least), short(most), ratio];
  });
  return align([["figure", "at", "side", "median", "least", "most", "to bare"], ...cells], 3);
}

/** A table of the medians only. */
function columns(rows: readonly Row[]): string {
  const sides = [...new Set(rows.map(({ side }) => side))];
  const lines = Map.groupBy(inOrder(rows), ({ figure, at }) => `${figure}|${at}`);
  const cells = [...lines.values()].map((line) => {
    const { figure, at } = line[0]!;
    const medians = sides.map((side) => line.find((row) => row.side === side)?.median);
    return [figure, at, ...medians.map((value) => value === undefined ? "" : short(value))];
  });
  return align([["figure", "at", ...sides], ...cells], 2);
}

/** Groups rows by figure and by what was varied. */
function inOrder(rows: readonly Row[]): Row[] {
  return [...Map.groupBy(rows, ({ figure }) => figure).values()].flatMap((own) =>
    [...Map.groupBy(own, ({ at }) => at).values()].flat()
  );
}

/** Aligns columns; those after the first `texts` are numbers, and are aligned to the right. */
function align(lines: readonly string[][], texts: number): string {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) =>
    line.map((cell, i) => i < texts ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join(
      "  ",
    )
  ).join("\n");
}
