import { createHash } from 'node:crypto'
import type { WebPage } from '../ports/redirects/redirected-host.ts'
import type { PullCount } from './pull-counts.ts'

/** What the page of a redirected host says. */
export interface PageFacts {
  /** As clients write it, with its port. */
  readonly host: string
  /** Where the host leads, such as `us-docker.pkg.dev/project/repo`. */
  readonly registry: string
  readonly mode: 'redirect' | 'serve'
  /** Whether there are buckets near some clients. */
  readonly hasBuckets: boolean
  readonly pulls: readonly PullCount[]
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
pre{background:#f3f4f6;padding:.75rem 1rem;overflow-x:auto;border-radius:4px}
table{border-collapse:collapse}td,th{text-align:left;padding:.25rem 2rem .25rem 0;border-bottom:1px solid #d8dce1;overflow-wrap:anywhere}
td:last-child,th:last-child{text-align:right;padding-right:0}
@media(prefers-color-scheme:dark){body{color:#e3e6ea;background:#15181c}pre{background:#22262c}td,th{border-color:#3a4048}}`

/** The page has no script, no image, and one style, which is named by its hash. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Writes the web page about a redirected host. */
export function pageOf({ host, registry, mode, hasBuckets, pulls }: PageFacts): WebPage {
  const [name = 'NAME'] = pulls.map((pull) => pull.name)
  const image = `${host}/${name}:TAG`
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(host)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(host)}</h1>
<p>This is a registry for container images. ${aboutMode({ mode, registry, hasBuckets })}</p>
<h2>Pull an image</h2>
<pre>podman pull ${escaped(image)}
docker pull ${escaped(image)}
ctr images pull ${escaped(image)}</pre>
<p>In a pod of Kubernetes, write <code>image: ${escaped(image)}</code>.</p>
<h2>Pulled most</h2>
${pullTable(pulls)}
</body>
</html>
`
  return { html, policy: POLICY }
}

function aboutMode({ mode, registry, hasBuckets }: Omit<PageFacts, 'host' | 'pulls'>): string {
  const where = `<code>${escaped(registry)}</code>`
  return mode === 'redirect'
    ? `It has no images of its own: it redirects clients to ${where}${hasBuckets ? ', and some of them to a copy of layers near them' : ''}.`
    : `It serves the images of ${where} from a cache${hasBuckets ? ', and some clients get layers from a copy near them' : ''}.`
}

function pullTable(pulls: readonly PullCount[]): string {
  if (pulls.length === 0) return '<p>Nothing was pulled since the start.</p>'
  const rows = pulls.map(({ name, count }) => `<tr><td>${escaped(name)}</td><td>${count}</td></tr>`)
  return `<table>
<tr><th>Image</th><th>Manifests requested since the start</th></tr>
${rows.join('\n')}
</table>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
