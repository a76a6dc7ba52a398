import { parseRegistryHost } from '../oci/names/registry-host.ts'
import type { RedirectedHost, Redirects } from '../ports/redirects/redirected-host.ts'
import type { BucketParts } from './buckets/redirect-bucket.ts'
import { hostNameOf } from './host-name.ts'
import type { RedirectOptions } from './options.ts'
import { ConfiguredHost } from './redirected-host.ts'

/** The entry for every host that no other entry has. */
const ANY_HOST = '*'

/** The hosts of the `redirects` setting. */
export class ConfiguredRedirects implements Redirects {
  readonly #hosts: ReadonlyMap<string, ConfiguredHost>

  constructor(entries: readonly RedirectOptions[], parts: BucketParts) {
    this.#hosts = new Map(entries.map((entry) => [hostNameOf(entry.host), new ConfiguredHost(entry, parts)]))
  }

  /** Reads the files of the settings. Rejects with a `FileProblem` if one cannot be used. */
  async open(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.open()))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.close()))
  }

  find({ host, ns }: { host: string | undefined; ns: string | undefined }): RedirectedHost | undefined {
    const name = host === undefined ? '' : hostNameOf(host)
    if (ns !== undefined && ns !== '' && !isSame(ns, name)) return undefined
    return this.#hosts.get(name) ?? this.#hosts.get(ANY_HOST)
  }
}

/** Whether `ns` names the host to which the request was sent. */
function isSame(ns: string, name: string): boolean {
  const registry = parseRegistryHost(ns)
  return registry !== undefined && hostNameOf(registry) === name
}
