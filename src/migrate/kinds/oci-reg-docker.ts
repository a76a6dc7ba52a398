import type { Process } from '../input/process.ts'
import { type Kind, listenAddress } from './kind.ts'

const OWN = ['REGISTRY_LISTEN_ADDR', 'REGISTRY_KEY_PATH', 'REGISTRY_CERT_PATH', 'REGISTRY_PREFIXES']
const TLS = ['DOCKER_CERT_PATH', 'DOCKER_TLS_VERIFY', 'DOCKER_API_VERSION']
const DEFAULT_LISTEN = '127.0.0.1:8080'

/** A registry in front of a Docker daemon: its variables. */
export const ociRegDocker: Kind = {
  name: 'oci-reg-docker',
  title: 'oci-reg-docker',
  recognizes: ({ processes }) => processes.some(isProcess),
  convert({ processes }, draft) {
    const env = (processes.find(isProcess) ?? processes[0])?.env ?? {}
    const value = (name: string): string | undefined => env[name] || undefined
    draft.set('listen', listenAddress(value('REGISTRY_LISTEN_ADDR')) ?? DEFAULT_LISTEN)
    draft.set('tlsCert', value('REGISTRY_CERT_PATH'))
    draft.set('tlsKey', value('REGISTRY_KEY_PATH'))
    const prefixes = (value('REGISTRY_PREFIXES') ?? '').split(/\s+/).filter(Boolean)
    draft.source({
      docker: value('DOCKER_HOST') ?? 'env',
      ...(prefixes.length === 0 ? {} : { prefixes }),
      exclusive: true,
    })
    const kept = TLS.filter((name) => value(name) !== undefined)
    if (kept.length > 0) {
      draft.note(`Keep ${kept.join(', ')} in the environment of agent serve, which reads them, too.`)
    }
  },
}

function isProcess({ env, words, image }: Process): boolean {
  return (
    OWN.some((name) => env[name] !== undefined) ||
    words.some((word) => /(?:^|\/)oci-reg-docker(?::|@|$)/.test(word)) ||
    (image?.includes('oci-reg-docker') ?? false)
  )
}
