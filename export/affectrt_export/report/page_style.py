"""How the HTML report looks. Every pair of text and background has a contrast of at least 4.5, light and dark."""

CSS = """
:root {
  --ink: #1f2937; --soft: #566070; --paper: #ffffff; --panel: #f8fafc; --line: #e2e6ea; --faint: #9ca3af; --band: #e9f5ef;
    --stripe: #f5f6f8;
  --good: #046c4e; --warn: #8a5300; --bad: #b3340a; --good-back: #e3f5ec; --warn-back: #fdf1d8; --bad-back: #fde8df;
    --heat: 31, 131, 201; --link: #1a5fb4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e5e9ef; --soft: #a6b0be; --paper: #12161c; --panel: #1a2028; --line: #2f3742; --faint: #6b7685; --band: #17281f;
    --stripe: #1a2028;
    --good: #6ddba8; --warn: #f2c063; --bad: #ff9a76; --good-back: #12301f; --warn-back: #35270b; --bad-back: #3d1c10;
    --heat: 86, 156, 214; --link: #86b7f5;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.08rem; margin: 2rem 0 0.5rem; }
h4, h5, h6 { font-size: 1rem; margin: 1.25rem 0 0.5rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--paper); padding: 0.25rem 0.5rem; z-index: 1; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; margin: 1.25rem 0 0; padding: 0; font-size: 0.92rem; }
.verdict { font-size: 1.08rem; font-weight: 600; margin: 0 0 0.5rem; }
.findings { list-style: none; margin: 0; padding: 0; }
.verdict, .findings li { padding: 0.6rem 0.8rem 0.6rem 2.3rem; border-radius: 0.4rem; margin-bottom: 0.4rem; position: relative; }
.verdict .symbol, .findings .symbol { position: absolute; left: 0.9rem; }
p.good, li.good, .badge.good { background: var(--good-back); }
p.warn, li.warn, .badge.warn { background: var(--warn-back); }
p.bad, li.bad, .badge.bad { background: var(--bad-back); }
.good .symbol, .mark.good, .badge.good { color: var(--good); }
.warn .symbol, .mark.warn, .badge.warn { color: var(--warn); }
.bad .symbol, .mark.bad, .badge.bad { color: var(--bad); }
.symbol { font-weight: 700; }
.mark.short { white-space: nowrap; }
.mark .symbol { display: inline-block; width: 1em; }
.badge { font-size: 0.78rem; font-weight: 600; padding: 0.12rem 0.55rem; border-radius: 1rem; vertical-align: 0.12em;
    margin-left: 0.4rem; }
.scroll { overflow-x: auto; margin: 0.75rem 0 1.25rem; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; color: var(--soft); padding: 0 0 0.4rem; }
th, td { padding: 0.32rem 0.75rem 0.32rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
    min-width: 3rem; max-width: 32rem; }
th + th, td { padding-left: 0.4rem; }
td { overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
td[style] { background: rgba(var(--heat), calc(var(--shade) * 0.45)); }
.picture, .gallery { margin: 1rem 0; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; }
figure svg { max-width: 100%; height: auto; display: block; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
details { margin: 0.5rem 0; border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.4rem 0.8rem; }
summary { cursor: pointer; font-size: 0.95rem; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.75rem; overflow-x: auto;
    white-space: pre-wrap;
  font-size: 0.88rem; }
@media print { nav, .skip { display: none; } body { max-width: none; } .scroll { overflow: visible; } }
"""
