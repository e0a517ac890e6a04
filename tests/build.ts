/**
 * Bundles the app into `dist/app/` for a quick start: `deno task build`.
 *
 * V8 compiles a function when it is called first, and what Deno keeps of a module for the next start has only
 * what was compiled without a call. V8 takes a function in parentheses for one that is called at once, and
 * compiles it with its module (https://v8.dev/blog/preparser, "PIFEs"). So the functions of the bundle are
 * put in parentheses, for a tenth of the start. The methods of classes cannot be.
 *
 * @module
 */
import { type AnyNode, type Function, parse } from "npm:acorn@8.15.0";

const ROOT = `${import.meta.dirname}/..`;

/** The module of the bundle that is run. */
const ENTRY = "main.js";

/** In how many functions a function may be that is put in parentheses. Few of those further inside are called. */
const MAX_DEPTH = 1;

/** Bundles the app into a folder, which is emptied first. */
export async function build(folder: string): Promise<void> {
  await removeIfThere(folder);
  const args = ["bundle", "--quiet", "--minify", "--code-splitting", "--outdir", folder, "main.ts"];
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
  if (!success) throw new Error("Cannot bundle the app: see above");
  // Only what each start loads: a dynamic import is for what few processes use, and little of that.
  const names = new Set([ENTRY]);
  for (const name of names) {
    const path = `${folder}/${name}`;
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, parenthesize(text));
    for (const imported of importsOf(text)) names.add(imported);
  }
}

/**
 * Puts the functions of a module in parentheses. Functions that are declared at its top level become variables
 * at its beginning, because other statements may call them before their declaration.
 */
export function parenthesize(text: string): string {
  const { body } = parse(text, { ecmaVersion: "latest", sourceType: "module" });
  const declared: string[] = [];
  const others: string[] = [];
  for (const statement of body) {
    if (statement.type === "FunctionDeclaration") {
      const { start, end, id } = statement;
      // Without its own name, which would hide the variable.
      const nameless = [{ at: id.start, until: id.end, text: "" }, ...parenthesesIn(statement, 0)];
      declared.push(`${id.name}=(${edited(text, { start, end }, nameless)})`);
    } else {
      others.push(edited(text, statement, parenthesesIn(statement, 0)));
    }
  }
  const variables = declared.length === 0 ? [] : [`var ${declared.join(",\n")};`];
  return [...variables, ...others, ""].join("\n");
}

/** The modules beside it that a module imports statically. */
function importsOf(text: string): string[] {
  return parse(text, { ecmaVersion: "latest", sourceType: "module" }).body
    .filter((statement) => statement.type === "ImportDeclaration")
    .map(({ source }) => String(source.value).replace("./", ""));
}

/** A text that is inserted, or takes the place of another. */
interface Edit {
  at: number;
  until: number;
  text: string;
}

/** The parentheses around the functions in a node that is itself in `depth` functions. */
function parenthesesIn(node: AnyNode, depth: number): Edit[] {
  const inside = isFunction(node) ? depth + 1 : depth;
  const skipped = methodOf(node);
  return childrenOf(node).flatMap((child) => {
    const edits = parenthesesIn(child, inside);
    const isExpression = isFunction(child) && child.type !== "FunctionDeclaration";
    if (!isExpression || child === skipped || inside > MAX_DEPTH) return edits;
    const { start, end } = child;
    return [{ at: start, until: start, text: "(" }, ...edits, { at: end, until: end, text: ")" }];
  });
}

function isFunction(node: AnyNode): node is Function & AnyNode {
  return /^(?:Function|ArrowFunction)/.test(node.type);
}

/** The function that is a method of a class or an object: its name and its parameters are one. */
function methodOf(node: AnyNode): AnyNode | undefined {
  if (node.type === "MethodDefinition") return node.value;
  const isMethod = node.type === "Property" && (node.method || node.kind !== "init");
  return isMethod ? node.value as AnyNode : undefined;
}

function childrenOf(node: AnyNode): AnyNode[] {
  return Object.values(node).flat().filter((child) => typeof child?.type === "string");
}

/** A part of a text with edits, which are in the order of their places. */
function edited(text: string, { start, end }: { start: number; end: number }, edits: Edit[]) {
  let [result, at] = ["", start];
  for (const edit of edits) {
    result += text.slice(at, edit.at) + edit.text;
    at = edit.until;
  }
  return result + text.slice(at, end);
}

async function removeIfThere(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

if (import.meta.main) await build(Deno.args[0] ?? "dist/app");
