/**
 * What comes from a caller is checked before anything changes: what is wrong is named, with its value
 * and what is allowed instead.
 *
 * @module
 */

/** What an option may be. */
export interface Rule {
  /** What is allowed, in words. */
  readonly allowed: string;
  /** What is wrong with a value: its type, or where it lies. */
  problem(value: unknown): "type" | "range" | undefined;
  /** Whether a value must not be shown. */
  readonly isSecret?: boolean;
}

/** The rules of some options, by their names. */
export type Rules = Readonly<Record<string, Rule>>;

/**
 * Checks options and gives back what was checked: a plain copy, with lists of its own, which nobody
 * changes later. Options are of an object, inherited ones included, and no others than those that there
 * are rules for. One that is `undefined` is left out, but still there for whoever asks by `in`.
 *
 * @throws {TypeError} where one has another type, or is unknown
 * @throws {RangeError} where one is out of its range
 */
export function checkOptions<T extends object>(what: string, options: T, rules: Rules): T {
  if (Object.prototype.toString.call(options) !== "[object Object]") {
    throw new TypeError(
      `Cannot take ${quote(options)} for ${what}: an object of options is needed`,
    );
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue;
    const known = Object.keys(rules).join(", ");
    throw new TypeError(`${what} has no option ${quote(name)}: there are ${known}`);
  }
  const checked: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(rules)) {
    if (!(name in options)) continue;
    const given = (options as Record<string, unknown>)[name];
    // `Array.from` makes `undefined` of what is missing between two commas.
    const value = Array.isArray(given) ? Array.from(given) : given;
    if (value !== undefined) checkValue(what, name, value, rule);
    checked[name] = value;
  }
  return checked as T;
}

/** Checks one value. @throws {TypeError | RangeError} where it is not allowed */
export function checkValue(what: string, name: string, value: unknown, rule: Rule): void {
  const problem = rule.problem(value);
  if (problem === undefined) return;
  const Error = problem === "type" ? TypeError : RangeError;
  const shown = rule.isSecret ? lengthOf(value) : quote(value);
  throw new Error(`Cannot take ${shown} as "${name}" of ${what}: ${rule.allowed} is needed`);
}

/** A whole number. */
export function integer(min: number, max: number, { orInfinity = false } = {}): Rule {
  return numberOf(min, max, { orInfinity, isWhole: true, words: "a whole number" });
}

/** Any number. */
export function number(min: number, max: number): Rule {
  return numberOf(min, max, { orInfinity: false, isWhole: false, words: "a number" });
}

/** A number of milliseconds. */
export function milliseconds(min: number, max: number, { orInfinity = false } = {}): Rule {
  return numberOf(min, max, { orInfinity, isWhole: false, words: "a number of milliseconds" });
}

/** A text that passes a test. */
export function text(passes: (text: string) => boolean, allowed: string): Rule {
  return {
    allowed,
    problem: (value) => typeof value !== "string" ? "type" : passes(value) ? undefined : "range",
  };
}

/** A list, each of whose items follows a rule. */
export function listOf(rule: Rule, allowed: string): Rule {
  return {
    allowed,
    problem(value) {
      if (!Array.isArray(value)) return "type";
      return value.map((item) => rule.problem(item)).find((problem) => problem !== undefined);
    },
  };
}

/** One of some values. */
export function oneOf(...values: readonly (string | number)[]): Rule {
  return {
    allowed: values.join(" or "),
    problem(value) {
      if (values.some((allowed) => allowed === value)) return undefined;
      return values.some((allowed) => typeof allowed === typeof value) ? "range" : "type";
    },
  };
}

/** A function. */
export const callback: Rule = {
  allowed: "a function",
  problem: (value) => typeof value === "function" ? undefined : "type",
};

/** An object that has some methods. */
export function withMethods(...names: readonly string[]): Rule {
  return {
    allowed: `an object with the methods ${names.join(", ")}`,
    problem(value) {
      const methods = value as Record<string, unknown> | null;
      const isObject = typeof methods === "object" && methods !== null;
      return isObject && names.every((name) => typeof methods[name] === "function")
        ? undefined
        : "type";
    },
  };
}

/** Whatever is checked elsewhere. */
export const anything: Rule = { allowed: "anything", problem: () => undefined };

/** The same or nothing: `null`. */
export function orNull(rule: Rule): Rule {
  return {
    ...rule,
    allowed: `${rule.allowed}, or null,`,
    problem: (value) => value === null ? undefined : rule.problem(value),
  };
}

/** A value as it stands in a message: short, and whatever it is. */
export function quote(value: unknown): string {
  if (typeof value === "string") return escaped(JSON.stringify(value.slice(0, 100)));
  if (typeof value !== "object" || value === null) return String(value).slice(0, 100);
  try {
    return escaped(JSON.stringify(value).slice(0, 100));
  } catch {
    return "an object"; // whose parts throw, that contains itself, or has no JSON
  }
}

// What a terminal or a reader of logs takes for a command or a line of its own.
function escaped(text: string): string {
  return text.replace(
    /[\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function numberOf(
  min: number,
  max: number,
  { orInfinity, isWhole, words }: { orInfinity: boolean; isWhole: boolean; words: string },
): Rule {
  const range = `from ${min.toLocaleString("en")} to ${max.toLocaleString("en")}`;
  return {
    allowed: `${words} ${range}${orInfinity ? ", or Infinity," : ""}`,
    problem(value) {
      if (typeof value !== "number" || Number.isNaN(value)) return "type";
      if (orInfinity && value === Infinity) return undefined;
      if (value < min || value > max) return "range";
      return isWhole && !Number.isInteger(value) ? "range" : undefined;
    },
  };
}

function lengthOf(value: unknown): string {
  return typeof value === "string" ? `a text of ${value.length} characters` : `a ${typeof value}`;
}
