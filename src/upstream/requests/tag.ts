import { createHash } from 'node:crypto'
import { parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { TagHead } from '../../ports/registry.ts'
import { MANIFEST_ACCEPT } from '../headers/media-type.ts'
import { readWhole } from '../http/read-whole.ts'
import { failureOfStatus } from '../http/status.ts'
import { MANIFEST_LIMIT } from './bring.ts'
import { describeResponse } from './head.ts'
import type { RegistryHost } from './question.ts'

/** Answers of registries that know HEAD only halfway. */
const NO_HEAD: ReadonlySet<number> = new Set([200, 400, 405, 501])

/** What a tag is now: by HEAD, which costs no quota; by GET where HEAD does not tell. */
export async function tagAt(
  host: RegistryHost,
  name: string,
  tag: string,
  { signal }: { signal: AbortSignal },
): Promise<TagHead> {
  const question = {
    kind: 'manifest',
    path: `manifests/${tag}`,
    accept: MANIFEST_ACCEPT,
    name,
    signal,
  } as const
  const response = await host.ask({ ...question, method: 'HEAD' })
  if (!NO_HEAD.has(response.status)) throw failureOfStatus(response, host.name)
  response.body.dispose()
  const stated = response.status === 200 ? response.headers.get('docker-content-digest') : undefined
  if (stated !== undefined) {
    const digest = parseDigest(stated)
    if (digest === undefined) throw broken(host, 'states a digest that is none')
    return { digest, ...describeResponse(response, host.name) }
  }
  const whole = await host.ask({ ...question, method: 'GET' })
  if (whole.status !== 200) throw failureOfStatus(whole, host.name)
  const bytes = await readWhole(whole.body, MANIFEST_LIMIT)
  const { mediaType } = describeResponse(whole, host.name)
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
  if (digest === undefined) throw broken(host, 'sent what cannot be hashed')
  return { digest, mediaType, size: bytes.length }
}

function broken(host: RegistryHost, what: string): Failure {
  return new Failure('unavailable', `${host.name} ${what}`, { source: host.name })
}
