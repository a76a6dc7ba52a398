import { text } from '../input/tree.ts'
import { type Kind, noteOthers } from './kind.ts'

/** Its port cannot be set. */
const LISTEN = '0.0.0.0:8000'
const KEYS = ['registry_storage', 'temporary_registry_storage', 'proxy_storage']

/** A registry and a proxy for others under one name: `configuration.toml`. */
export const registryProxy: Kind = {
  name: 'registry-proxy',
  title: 'docker-registry-server-proxy',
  format: 'toml',
  recognizes: ({ toml }) => KEYS.some((key) => toml?.[key] !== undefined),
  convert({ toml = {} }, draft) {
    draft.set('listen', LISTEN)
    const [registry, temporary, proxy] = KEYS.map((key) => text(toml[key]))
    if (registry !== undefined) {
      draft.note(
        `Leat takes pushes to the repositories that hosted names: name them there, and push to them again what is in ${registry}; agent import --from registry-proxy:${registry} takes images over for pulls under other names.`,
      )
    }
    if (proxy !== undefined)
      draft.note(
        `The cache in ${proxy} has another layout: take it over with agent import --from registry-proxy:${proxy}.`,
      )
    if (temporary !== undefined) {
      draft.note(`Nothing takes the place of ${temporary}: uploads under way are in the data folder, too.`)
    }
    noteOthers(draft, toml, KEYS)
  },
}
