import { at, isNo, isTable, type Table, tableAt, text, texts } from '../input/tree.ts'
import type { Draft } from '../output/draft.ts'
import { addEndpoints, type Endpoint, endpointOf, registryItself } from '../output/mirrors.ts'
import { type Kind, noteOthers } from './kind.ts'

const LOG_LEVELS: Readonly<Record<string, string>> = {
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
}
const SECRET_FILE = '/etc/leat/swarm-secret'
/** Keys that say how Spegel is reached by containerd, which `agent runtime install` and the chart decide. */
const WITHOUT_NOTE = [
  'logLevel',
  'mirroredRegistries',
  'registries',
  'additionalMirrorTargets',
  'additionalMirrorRegistries',
  'resolveTags',
  'resolveLatestTag',
  'persistence',
  'containerdSock',
  'containerdNamespace',
  'containerdContentPath',
  'mirrorResolveRetries',
  'mirrorResolveTimeout',
  'debugWebEnabled',
]

/** Spegel: the values of its Helm chart. */
export const spegel: Kind = {
  name: 'spegel',
  title: 'Spegel',
  format: 'yaml',
  recognizes: ({ yaml }) => isTable(at(yaml, 'spegel')),
  convert({ yaml }, draft) {
    const values = tableAt(yaml, 'spegel')
    draft.set('logLevel', LOG_LEVELS[text(values['logLevel'])?.toUpperCase() ?? ''])
    draft.set('peersSecretFile', SECRET_FILE)
    draft.note(
      `Agents share content only if they know one secret: write one into ${SECRET_FILE} on every node, or let the chart of Leat make it.`,
    )
    convertRegistries(values, draft)
    if (text(at(yaml, 'basicAuthSecretName')) !== undefined) {
      draft.note(
        'basicAuthSecretName has no counterpart: agents prove to each other that they know the secret of the swarm.',
      )
    }
    noteOthers(draft, values, WITHOUT_NOTE, {
      path: 'spegel.',
      reasons: {
        containerdMirrorAdd:
          'spegel.containerdMirrorAdd is runtime.install of the chart of Leat, or agent runtime install.',
        containerdRegistryConfigPath:
          'spegel.containerdRegistryConfigPath is runtime.folder of the chart of Leat, without certs.d.',
        prependExisting:
          'spegel.prependExisting is not needed: agent runtime install always keeps other mirrors.',
        registryFilters:
          'spegel.registryFilters has no counterpart; allow lists the repositories that may be pulled.',
      },
    })
  },
}

function convertRegistries(values: Table, draft: Draft): void {
  const registries = texts(values['mirroredRegistries'] ?? values['registries']).map((url) =>
    url.replace(/^https?:\/\//, '').replace(/\/.*$/, ''),
  )
  if (registries.length > 0) {
    const flags = registries.map((registry) => `--only ${registry}`).join(' ')
    draft.note(
      `Only some registries go through the mirror: agent runtime install ${flags}, or runtime.only of the chart of Leat.`,
    )
  }
  const names = registries.length > 0 ? registries : ['docker.io']
  const targets = texts(values['additionalMirrorTargets'] ?? values['additionalMirrorRegistries'])
    .map((url) => endpointOf(url, draft))
    .filter((endpoint): endpoint is Endpoint => endpoint !== undefined)
  if (targets.length > 0) {
    for (const name of names) addEndpoints(draft, name, [...targets, registryItself(name)])
    if (registries.length === 0)
      draft.note(
        'The additional mirrors are asked for docker.io; add an entry for each other registry that they have.',
      )
  }
  if (!isNo(values['resolveTags']) && !isNo(values['resolveLatestTag'])) return
  for (const name of names) draft.upstream({ namespace: name, tagTtl: '0s' })
  draft.note('Spegel does not resolve all tags, so tagTtl is 0s, and the registry is asked for every tag.')
}
