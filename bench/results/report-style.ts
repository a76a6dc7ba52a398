export const REPORT_STYLE = `
:root { color-scheme: light dark; --text: #1b2329; --muted: #4d5963; --bar: #0b73c2; --spread: #1b2329; --limit: #a81818; --line: #c9d2da; --back: #ffffff }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8edf1; --muted: #a9b5bf; --bar: #4ea8ec; --spread: #e8edf1; --limit: #ff9d94; --line: #3a4650; --back: #12171c }
}
body { max-width: 60rem; margin: 0 auto; padding: 1rem; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
section { margin: 0 0 1.5rem; padding: 0 0 0.5rem; border-bottom: 1px solid var(--line) }
h3 { margin: 0.5rem 0 }
p { margin: 0.25rem 0 }
svg { display: block; width: 100%; max-width: 40rem; height: auto; margin: 0.5rem 0 }
svg text { fill: var(--text); font-size: 13px }
svg .words { fill: var(--muted); font-size: 12px }
.bar { fill: var(--bar) }
.spread { stroke: var(--spread); stroke-width: 2 }
.axis { stroke: var(--line) }
.limit { stroke: var(--limit); stroke-width: 2 }
.median { fill: var(--bar) }
.muted { color: var(--muted); font-size: 0.9rem }
.missed { color: var(--limit) }
`
