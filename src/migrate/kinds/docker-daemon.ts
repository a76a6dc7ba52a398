import { isTable, tableAt, text, texts } from '../input/tree.ts'
import { addEndpoints, endpointOf, registryItself } from '../output/mirrors.ts'
import type { Kind } from './kind.ts'

const OWN = [
  'registry-mirrors',
  'insecure-registries',
  'data-root',
  'storage-driver',
  'log-driver',
  'exec-opts',
  'features',
  'hosts',
  'proxies',
  'bip',
  'live-restore',
  'dns',
  'iptables',
  'experimental',
]

/** Docker: `daemon.json`. What does not concern registries stays there, and is passed over. */
export const dockerDaemon: Kind = {
  name: 'docker',
  title: "Docker's daemon.json",
  format: 'json',
  recognizes: ({ json }) => isTable(json) && OWN.some((key) => json[key] !== undefined),
  convert({ json }, draft) {
    const daemon = isTable(json) ? json : {}
    const mirrors = texts(daemon['registry-mirrors']).map((url) => endpointOf(url, draft))
    const known = mirrors.filter((endpoint) => endpoint !== undefined)
    if (known.length > 0) addEndpoints(draft, 'docker.io', [...known, registryItself('docker.io')])
    for (const registry of texts(daemon['insecure-registries'])) {
      if (registry.includes('/')) {
        draft.note(
          `${registry} is a network, which has no counterpart: add an entry with acceptInvalidCerts for each registry in it.`,
        )
        continue
      }
      draft.upstream({ namespace: registry, acceptInvalidCerts: true })
      draft.note(
        `${registry} is insecure: acceptInvalidCerts is set for it; if it has no TLS at all, write tls: false instead.`,
      )
    }
    const names = Object.keys(tableAt(daemon, 'proxies')).filter(
      (key) => text(tableAt(daemon, 'proxies')[key]) !== undefined,
    )
    if (names.length > 0) {
      draft.note(
        `proxies (${names.join(', ')}) has no counterpart in the file: set HTTP_PROXY, HTTPS_PROXY and NO_PROXY for agent serve.`,
      )
    }
    if (Object.keys(daemon).every((key) => !['registry-mirrors', 'insecure-registries'].includes(key))) {
      draft.note('The file has neither mirrors nor insecure registries.')
    }
  },
}
