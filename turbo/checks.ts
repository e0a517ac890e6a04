/**
 * Checks of what a caller passes, made before anything changes. An error names the option, its value
 * and what is allowed.
 *
 * @module
 */

/** What is allowed for an option. */
export interface Rule {
  /** What is allowed, in words. */
  readonly allowed: string;
  /** What is wrong with a value: its type, or its range. */
  problem(value: unknown): "type" | "range" | undefined;
  /** Whether an error must not show the value. */
  readonly isSecret?: boolean;
}

/** The rules of some options, by their names. */
export type Rules = Readonly<Record<string, Rule>>;

/**
 * Checks options and returns them as a plain copy, in which lists are copied too, so that later changes
 * by the caller have no effect. Inherited options count; an option without a rule is an error. An option
 * that is `undefined` is not checked, but its key is kept, so that `in` still finds it.
 *
 * @throws {TypeError} when an option is unknown or has the wrong type
 * @throws {RangeError} when an option is out of range
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
    // `Array.from` turns holes, as in `[1, , 2]`, into `undefined`.
    const value = Array.isArray(given) ? Array.from(given) : given;
    if (value !== undefined) checkValue(what, name, value, rule);
    checked[name] = value;
  }
  return checked as T;
}

/** Checks one value. @throws {TypeError | RangeError} when it is not allowed */
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

/** A rule for `true` or `false`. */
export const boolean: Rule = {
  allowed: "true or false",
  problem: (value) => typeof value === "boolean" ? undefined : "type",
};

/** A text that passes a test. */
export function text(passes: (text: string) => boolean, allowed: string): Rule {
  return {
    allowed,
    problem: (value) => typeof value !== "string" ? "type" : passes(value) ? undefined : "range",
  };
}

/** A list whose items all follow a rule. */
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

/** An object with these methods. */
export function withMethods(...names: readonly string[]): Rule {
  return {
    allowed: `an object with the method${names.length > 1 ? "s" : ""} ${names.join(", ")}`,
    problem(value) {
      const methods = value as Record<string, unknown> | null;
      const isObject = typeof methods === "object" && methods !== null;
      return isObject && names.every((name) => typeof methods[name] === "function")
        ? undefined
        : "type";
    },
  };
}

/** Anything: the value is checked elsewhere. */
export const anything: Rule = { allowed: "anything", problem: () => undefined };

/** What a rule allows, or `null`. */
export function orNull(rule: Rule): Rule {
  return {
    ...rule,
    allowed: `${rule.allowed}, or null,`,
    problem: (value) => value === null ? undefined : rule.problem(value),
  };
}

/** A value as messages quote it: shortened, and of any type. */
export function quote(value: unknown): string {
  if (typeof value === "string") return escaped(JSON.stringify(value.slice(0, 100)));
  if (typeof value !== "object" || value === null) return String(value).slice(0, 100);
  try {
    return escaped(JSON.stringify(value).slice(0, 100));
  } catch {
    return "an object"; // a getter throws, it contains itself, or JSON cannot express it
  }
}

// A terminal or a log viewer may take these characters for commands or line breaks.
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
  return {
    // A getter, because the first number that is formatted loads Intl, which takes Deno 10 ms.
    get allowed() {
      const range = `from ${min.toLocaleString("en")} to ${max.toLocaleString("en")}`;
      return `${words} ${range}${orInfinity ? ", or Infinity," : ""}`;
    },
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
