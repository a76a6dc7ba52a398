import { digestOf, parseDigest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { Failure } from '../../ports/failure.ts'
import type { TagHead } from '../../ports/registry.ts'
import { MANIFEST_ACCEPT } from '../headers/media-type.ts'
import { readWhole } from '../http/read-whole.ts'
import { failureOfStatus } from '../http/status.ts'
import { describeResponse } from './head.ts'
import type { RegistryHost } from './registry-request.ts'

/** Statuses after which the manifest is requested with GET: 200 without a digest, and those of registries without HEAD. */
const HEAD_INSUFFICIENT: ReadonlySet<number> = new Set([200, 400, 405, 501])

/** Requests the digest of a tag: with HEAD, which Docker Hub does not count as a pull, or else with GET. */
export async function requestTag(
  host: RegistryHost,
  name: string,
  tag: string,
  { signal }: { signal: AbortSignal },
): Promise<TagHead> {
  const request = {
    kind: 'manifest',
    path: `manifests/${tag}`,
    accept: MANIFEST_ACCEPT,
    name,
    signal,
  } as const
  const response = await host.send({ ...request, method: 'HEAD' })
  if (!HEAD_INSUFFICIENT.has(response.status)) throw failureOfStatus(response, host.name)
  response.body.dispose()
  const stated = response.status === 200 ? response.headers.get('docker-content-digest') : undefined
  if (stated !== undefined) {
    const digest = parseDigest(stated)
    if (digest === undefined) throw brokenResponse(host, 'states an invalid digest')
    return { digest, ...describeResponse(response, host.name) }
  }
  const whole = await host.send({ ...request, method: 'GET' })
  if (whole.status !== 200) throw failureOfStatus(whole, host.name)
  const bytes = await readWhole(whole.body, MAX_MANIFEST_BYTES)
  const { mediaType } = describeResponse(whole, host.name)
  return { digest: digestOf(bytes), mediaType, size: bytes.length }
}

function brokenResponse(host: RegistryHost, what: string): Failure {
  return new Failure('unavailable', `${host.name} ${what}`, { source: host.name })
}
