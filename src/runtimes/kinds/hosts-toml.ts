import { RuntimeFailure } from '../files/failure.ts'
import { insertAt, lineStarts, marked } from '../files/marks.ts'
import { firstThatMeans, quoted, readToml, sameMeaning, type Table, tableAt } from '../files/toml.ts'

/** What containerd finds by itself in a folder that has no hosts.toml, and no longer when it has one. */
export interface Certificates {
  readonly ca: readonly string[]
  readonly client: readonly (readonly [certificate: string, key: string])[]
}

/** containerd gives a dead mirror 30 s of its own; one on this machine answers at once or not at all. */
const DIAL_TIMEOUT = '200ms'
/** One that containerd does not know would make it drop the whole file. */
const CAPABILITIES = ['pull', 'resolve']

/** The certificates among the files of a folder, by containerd's rule (`loadCertFiles`), which is Docker's. */
export function certificatesIn(names: readonly string[]): Certificates {
  const client = names
    .filter((name) => name.endsWith('.cert'))
    .map((certificate) => {
      const key = certificate.replace(/\.cert$/, '.key')
      // Without a key of its own, the file holds both.
      return [certificate, names.includes(key) ? key : certificate] as const
    })
  return { ca: names.filter((name) => name.endsWith('.crt')), client }
}

/**
 * A hosts.toml in which the agent is asked first; all that was in it stays, and comes after. There is no `server` in
 * what is added, so the last resort remains the registry itself, or whatever `server` says already. `ca` is the path of
 * who has signed the agent's certificate.
 */
export function withMirror(
  text: string | undefined,
  url: string,
  { path, certificates, ca }: { path: string; certificates: Certificates; ca: string | undefined },
): string {
  const trusted = ca === undefined ? '' : `  ca = ${quoted(ca)}\n`
  const block = `[host.${quoted(url)}]\n  capabilities = ${JSON.stringify(CAPABILITIES).replace(',', ', ')}\n  dial_timeout = "${DIAL_TIMEOUT}"\n${trusted}`
  if (text === undefined || text === '') return marked(`${inherited(certificates)}${block}`)
  const before = readToml(text, path)
  if (mirrorIn(before, url) !== undefined) return text
  const hosts = tableAt(before, 'host') ?? {}
  const ours = { capabilities: CAPABILITIES, dial_timeout: DIAL_TIMEOUT, ...(ca === undefined ? {} : { ca }) }
  const after = { ...before, host: { ...hosts, [url]: ours } }
  const found = firstThatMeans(
    places(text).map((offset) => insertAt(text, offset, marked(block))),
    // containerd asks hosts in the order in which they stand in the file.
    (table) => sameMeaning(table, after) && Object.keys(tableAt(table, 'host') ?? {})[0] === url,
  )
  if (found !== undefined) return found
  throw new RuntimeFailure(
    `${path} is written in a way that cannot be added to; put [host.${quoted(url)}] before its other hosts by hand`,
  )
}

/** The name under which this document has the agent already. */
function mirrorIn(hosts: Table, url: string): string | undefined {
  return Object.keys(tableAt(hosts, 'host') ?? {}).find((name) => name.replace(/\/(?:v2\/?)?$/, '') === url)
}

function inherited({ ca, client }: Certificates): string {
  const lines = [
    ...(ca.length > 0 ? [`ca = [${ca.map(quoted).join(', ')}]\n`] : []),
    ...(client.length > 0
      ? [`client = [${client.map((pair) => `[${pair.map(quoted).join(', ')}]`).join(', ')}]\n`]
      : []),
  ]
  return lines.join('')
}

/** Where a table may begin: before each other one, with the comments that belong to it, and at the end. */
function places(text: string): readonly number[] {
  const comments = new Set(lineStarts(text, /^[ \t]*#/))
  const starts = lineStarts(text, /^[ \t]*\[/).map((start) => {
    let at = start
    for (
      let line = startBefore(text, at);
      line !== undefined && comments.has(line);
      line = startBefore(text, at)
    ) {
      at = line
    }
    return at
  })
  return [...starts, text.length]
}

function startBefore(text: string, start: number): number | undefined {
  return start === 0 ? undefined : text.lastIndexOf('\n', start - 2) + 1
}
