import { RuntimeFailure } from '../files/failure.ts'
import { insertAt, lineStarts, withMarkers } from '../files/markers.ts'
import { firstWithMeaning, readToml, sameMeaning, type Table, tableAt, tomlString } from '../files/toml.ts'

/** The certificates in a host folder. containerd uses them by itself only if the folder has no hosts.toml. */
export interface Certificates {
  readonly ca: readonly string[]
  readonly client: readonly (readonly [certificate: string, key: string])[]
}

/** The default is 30 s, but an agent on this machine accepts at once or not at all. */
const CONNECT_TIMEOUT = '200ms'
/** containerd ignores the whole file if it does not know one of the capabilities. */
const CAPABILITIES = ['pull', 'resolve']

/** Finds certificates by the rule of containerd (`loadCertFiles`), which is also that of Docker. */
export function certificatesIn(names: readonly string[]): Certificates {
  const client = names
    .filter((name) => name.endsWith('.cert'))
    .map((certificate) => {
      const key = certificate.replace(/\.cert$/, '.key')
      // Without a key file, the certificate file contains both.
      return [certificate, names.includes(key) ? key : certificate] as const
    })
  return { ca: names.filter((name) => name.endsWith('.crt')), client }
}

/**
 * Adds the agent as the first host of a hosts.toml and keeps the rest. No `server` is added, so the last host remains the
 * registry itself, or the `server` of the file. `ca` is the path of the CA of the agent's certificate.
 */
export function withMirror(
  text: string | undefined,
  url: string,
  { path, certificates, ca }: { path: string; certificates: Certificates; ca: string | undefined },
): string {
  const caLine = ca === undefined ? '' : `  ca = ${tomlString(ca)}\n`
  const block = `[host.${tomlString(url)}]\n  capabilities = ${JSON.stringify(CAPABILITIES).replace(',', ', ')}\n  dial_timeout = "${CONNECT_TIMEOUT}"\n${caLine}`
  if (text === undefined || text === '') return withMarkers(`${certificateLines(certificates)}${block}`)
  const before = readToml(text, path)
  if (mirrorIn(before, url) !== undefined) return text
  const hosts = tableAt(before, 'host') ?? {}
  const agent = {
    capabilities: CAPABILITIES,
    dial_timeout: CONNECT_TIMEOUT,
    ...(ca === undefined ? {} : { ca }),
  }
  const after = { ...before, host: { ...hosts, [url]: agent } }
  const changed = firstWithMeaning(
    tableOffsets(text).map((offset) => insertAt(text, offset, withMarkers(block))),
    // containerd asks the hosts in the order of the file.
    (table) => sameMeaning(table, after) && Object.keys(tableAt(table, 'host') ?? {})[0] === url,
  )
  if (changed !== undefined) return changed
  throw new RuntimeFailure(
    `${path} cannot be changed automatically; put [host.${tomlString(url)}] before its other hosts by hand`,
  )
}

/** The key under which the document has the agent already. */
function mirrorIn(hosts: Table, url: string): string | undefined {
  return Object.keys(tableAt(hosts, 'host') ?? {}).find((key) => key.replace(/\/(?:v2\/?)?$/, '') === url)
}

function certificateLines({ ca, client }: Certificates): string {
  const lines = [
    ...(ca.length > 0 ? [`ca = [${ca.map(tomlString).join(', ')}]\n`] : []),
    ...(client.length > 0
      ? [`client = [${client.map((pair) => `[${pair.map(tomlString).join(', ')}]`).join(', ')}]\n`]
      : []),
  ]
  return lines.join('')
}

/** Offsets at which a table can be inserted: before each table and the comments above it, and at the end. */
function tableOffsets(text: string): readonly number[] {
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
