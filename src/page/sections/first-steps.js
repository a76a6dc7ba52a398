import { byId, setText } from '../dom.js'

/** @typedef {import('../../schemas/status-report.ts').StatusReport} StatusReport */

const section = byId('start-section')
const pull = byId('start-pull')
const runtime = byId('start-runtime')

/**
 * Says what to do first, until a client has asked for an image or something is stored.
 *
 * @param {StatusReport} status
 */
export function showFirstSteps({ addresses, lastPullAt, store }) {
  section.hidden = lastPullAt !== null || store.blobs > 0
  if (section.hidden || addresses.registry === null) return
  const at = addresses.registry.replace(/^(?:0\.0\.0\.0|\[::\])(?=:)/, '127.0.0.1')
  setText(pull, `podman pull --tls-verify=false ${at}/docker.io/library/alpine:3`)
  const listen = at === '127.0.0.1:5050' ? '' : ` --listen ${at}`
  setText(runtime, `agent runtime install${listen}`)
}
