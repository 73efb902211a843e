/** The report's style sheet: system fonts only, light and dark by the reader's setting, readable on a phone. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --ink: #1d1c1a; --soft: #65625b; --line: #dcd8ce; --faint: #efece4; --accent: #1f5fa8; --raw: #9db9d8;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, "Noto Serif", serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #161615; --ink: #e9e6df; --soft: #a29d92; --line: #3a3833; --faint: #23221f; --accent: #7fb2ec; --raw: #3f5d7f;
  }
}
* { box-sizing: border-box; }
html { background: var(--paper); -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 68rem; padding: 3.5rem 2rem 4rem;
  color: var(--ink); font: 1rem/1.55 var(--sans); overflow-wrap: break-word;
}
h1, h2 { font-family: var(--serif); font-weight: 500; letter-spacing: -0.01em; text-wrap: balance; }
h1 { font-size: clamp(2rem, 5vw, 2.9rem); line-height: 1.1; margin: 0 0 1rem; }
h2 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 1.1rem; }
section { margin-top: 3rem; padding-top: 1.6rem; border-top: 1px solid var(--line); }
p { margin: 0 0 1rem; max-width: 44rem; }
.over { color: var(--soft); font-size: 0.875rem; margin-bottom: 0.75rem; }
.lead { font: 1.2rem/1.5 var(--serif); }
.note, .empty, figcaption { color: var(--soft); font-size: 0.875rem; line-height: 1.5; }
small { display: block; color: var(--soft); font-size: 0.8125rem; font-weight: 400; }
code, pre { font-family: var(--mono); font-size: 0.8125rem; }
pre {
  margin: 0; padding: 0.9rem 1rem; background: var(--faint); border-radius: 4px;
  overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
}
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; background: var(--faint); }
img.hard { image-rendering: pixelated; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums lining-nums; }
th { text-align: left; font-weight: 500; }

.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1.5rem 2rem; margin: 2.25rem 0 0; }
.key div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.key dt { color: var(--soft); font-size: 0.875rem; line-height: 1.4; }
.key dd { margin: 0; font: 2rem/1.2 var(--serif); font-variant-numeric: lining-nums; }

.grid { table-layout: fixed; }
.grid thead td { width: 5.5rem; }
.grid thead th { color: var(--soft); font-size: 0.8125rem; line-height: 1.3; vertical-align: bottom; padding: 0 0.35rem 0.5rem; }
.grid tbody th { font-size: 0.8125rem; line-height: 1.3; padding-right: 0.75rem; vertical-align: middle; overflow-wrap: anywhere; }
.grid tbody td { padding: 0.35rem; vertical-align: top; }
.grid img { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 2px; }
.grid .cell-label { display: none; }
.grid .figure, .grid .missing { display: block; color: var(--soft); font-size: 0.75rem; padding-top: 0.2rem; }

.measures { max-width: 44rem; margin-bottom: 1rem; }
.measures th, .measures td { padding: 0.55rem 0 0.55rem 1.25rem; border-bottom: 1px solid var(--line); vertical-align: baseline; }
.measures th[scope="row"] { padding-left: 0; }
.measures td, .measures thead th { text-align: right; white-space: nowrap; }
.measures thead small { display: inline; margin-left: 0.35em; }
.measures strong { font-weight: 650; }
.measures.wide { max-width: none; display: block; overflow-x: auto; font-size: 0.875rem; }
.measures.wide th[scope="row"] { white-space: nowrap; }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 2.5rem; }
.charts h2 { margin-bottom: 0.6rem; }
.charts figcaption { margin-top: 0.9rem; }
.charts svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font: 13px var(--sans); font-variant-numeric: tabular-nums; }
svg path { fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg .rule { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--soft); stroke-width: 1; }
svg .raw { stroke: var(--raw); stroke-width: 1; }
svg .strong { stroke: var(--accent); stroke-width: 2.25; }
.swatch { display: inline-block; width: 1.4em; height: 0; vertical-align: middle; border-top: 2px solid var(--accent); }
.swatch.raw { border-color: var(--raw); }

.strips { display: grid; gap: 1rem; margin-bottom: 1rem; }
.strips img { width: 100%; border-radius: 2px; }
.strips figcaption { padding-top: 0.25rem; }

.facts { margin: 0 0 1.75rem; display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); column-gap: 3rem; }
.facts div { display: flex; justify-content: space-between; gap: 1.5rem; padding: 0.45rem 0; border-bottom: 1px solid var(--line); font-size: 0.9375rem; }
.facts div:first-child, .facts div:last-child { grid-column: 1 / -1; }
.facts dt { color: var(--soft); flex: none; }
.facts dd { margin: 0; text-align: right; min-width: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums lining-nums; }
h3 { font-size: 0.9375rem; font-weight: 500; margin: 0 0 0.5rem; }
details { margin-top: 1.5rem; }
summary { cursor: pointer; font-size: 0.9375rem; font-weight: 500; padding: 0.35rem 0; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }

@media (max-width: 44rem) {
  body { padding: 2rem 1.1rem 3rem; }
  .lead { font-size: 1.1rem; }
  .key { grid-template-columns: 1fr 1fr; gap: 1.25rem; }
  .key dd { font-size: 1.6rem; }
  .grid, .grid tbody { display: block; }
  .grid thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .grid tbody tr { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.6rem; margin-bottom: 1.6rem; }
  .grid tbody th { grid-column: 1 / -1; font-size: 0.9375rem; }
  .grid tbody td { padding: 0; }
  .grid .cell-label { display: flex; align-items: flex-end; min-height: 3.1em; color: var(--soft); font-size: 0.6875rem; line-height: 1.25; padding-bottom: 0.25rem; }
  .measures { font-size: 0.9375rem; }
  .measures th, .measures td { padding-left: 0.7rem; }
  .measures thead small { display: block; margin: 0; }
  svg text { font-size: 19px; }
  .facts div:last-child { display: block; }
  .facts div:last-child dd { text-align: left; }
}
@media print { body { max-width: none; padding: 0; } section { break-inside: avoid; } }
`;
