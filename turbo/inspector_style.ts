/**
 * The stylesheet of the inspector, as a text: a package of Deno cannot contain another kind of file.
 *
 * @module
 */
/** The stylesheet. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fcfcfb;
  --ink: #14171a;
  --dim: #59616a;
  --hair: #dcdfdc;
  --shade: #f1f2f0;
  --blue: #2a5fd0;
  --warm: #a33c08;
  --bad: #b3261e;
  --good: #1b7f3b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #101316;
    --ink: #e9ebed;
    --dim: #99a2ab;
    --hair: #2b3137;
    --shade: #191d21;
    --blue: #7ca6ff;
    --warm: #ff9f61;
    --bad: #ff8a7d;
    --good: #4dc878;
  }
}
* { box-sizing: border-box; margin: 0; padding: 0; }
body {
  max-width: 84rem;
  margin: 0 auto;
  padding: 0 clamp(0.75rem, 3vw, 2rem) 3rem;
  background: var(--paper);
  color: var(--ink);
  font: 0.9375rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
  text-size-adjust: 100%;
  overflow-wrap: anywhere;
}
code, pre { font: 0.875em/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
a { color: var(--blue); text-underline-offset: 0.2em; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; border-radius: 2px; }
header {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  align-items: baseline;
  gap: 0 1.5rem;
  padding: 1rem 0 0.6rem;
  border-bottom: 1px solid var(--hair);
}
h1 { font-size: 1.375rem; letter-spacing: -0.01em; }
h2 { font-size: 1rem; margin: 1.5rem 0 0.5rem; }
.live { color: var(--dim); }
.live .now { display: none; color: var(--good); }
.live .now::before { content: "● "; }
[data-turbo-stream="open"] .live .now { display: inline; }
[data-turbo-stream="open"] .live .then { display: none; }
.back { margin-top: 0.75rem; }
dl { display: flex; flex-wrap: wrap; gap: 0.5rem 1.75rem; }
#summary, #page dl { margin-top: 1rem; }
dt { font-size: 0.8125rem; color: var(--dim); }
#page p { margin-top: 0.75rem; color: var(--dim); }
#lost ul {
  list-style: none;
  margin-top: 1rem;
  border: 2px solid var(--bad);
  border-radius: 6px;
}
#lost li { padding: 0.6rem 0.8rem; font-size: 1.0625rem; }
#lost li + li { border-top: 1px solid var(--bad); }
#lost b { color: var(--bad); }
.rows { list-style: none; border-top: 1px solid var(--hair); }
.rows > li { border-bottom: 1px solid var(--hair); }
#pages li { padding: 0.5rem 0; }
#pages li p + p { font-size: 0.875rem; color: var(--dim); }
summary { padding: 0.45rem 0; cursor: pointer; }
summary small { display: block; padding-left: 1rem; font-size: 0.8125rem; color: var(--dim); }
details[open] { padding-bottom: 0.75rem; }
details dl { padding: 0 0 0.5rem 1rem; }
pre {
  max-height: 20rem;
  margin-left: 1rem;
  padding: 0.6rem 0.75rem;
  overflow: auto;
  white-space: pre-wrap;
  background: var(--shade);
  border-radius: 4px;
}
.tag {
  display: inline-block;
  padding: 0 0.45em;
  border: 1px solid var(--hair);
  border-radius: 4px;
  font-size: 0.8125rem;
  color: var(--dim);
}
.left > details > summary > :is(b, code) { color: var(--dim); font-weight: normal; }
:is(.current, .shown, .kept) .tag { color: var(--good); }
:is(.behind, .owed, .opening, .closing, .sent) .tag { color: var(--warm); border-color: currentColor; }
:is(.no-target, .lost) .tag, .bad, tr.lost > * { color: var(--bad); border-color: currentColor; }
.warm { color: var(--warm); }
:is(:target, .lost) { scroll-margin-top: 1rem; }
:target { background: var(--shade); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
:is(th, td) { padding: 0.3rem 0 0.3rem 0.75rem; border-bottom: 1px solid var(--hair); text-align: right; }
:is(th, td):first-child { padding-left: 0; text-align: left; }
thead th { font-size: 0.8125rem; font-weight: normal; color: var(--dim); vertical-align: bottom; }
tbody th { font-weight: normal; }
time { font-variant-numeric: tabular-nums; }
@media (min-width: 60rem) {
  .columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.1fr); column-gap: 2.5rem; }
}
`;
