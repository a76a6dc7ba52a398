import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake, VouchedIntake, Want } from '../../ports/source.ts'
import { parseContentRange } from '../headers/content-range.ts'
import { MANIFEST_ACCEPT, parseMediaType, refuseSchema1 } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { failureOfStatus } from '../http/status.ts'
import type { RegistryHost } from './registry-request.ts'
import type { Validators } from './validators.ts'

export function pathOf({ kind, digest }: Want): string {
  return `${kind}s/${digest}`
}

/** Makes one attempt to bring the rest of a blob or manifest, or a part of the rest, from one host: see `Source.bring`. */
export async function bringFromHost(
  host: Pick<RegistryHost, 'name' | 'send'>,
  validators: Validators,
  want: Want,
  intake: Pick<VouchedIntake, keyof Intake | 'end'>,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const offset = intake.position
  const ifRange = validators.ifRange(want.digest)
  const last = intake.end === undefined ? '' : intake.end - 1
  const range = offset === 0 && last === '' ? {} : { range: `bytes=${offset}-${last}` }
  const response = await host.send({
    method: 'GET',
    kind: want.kind,
    path: pathOf(want),
    name: want.repository.name,
    ...(want.kind === 'manifest' ? { accept: MANIFEST_ACCEPT } : {}),
    headers: { ...range, ...(offset > 0 && ifRange !== undefined ? { 'if-range': ifRange } : {}) },
    signal,
  })
  let hasBegun = false
  try {
    const { size, skip, end } = locateBody(response, { start: offset, end: intake.end }, host.name)
    const mediaType = parseMediaType(response.headers.get('content-type'))
    const limit = want.kind === 'manifest' ? MAX_MANIFEST_BYTES : Number.POSITIVE_INFINITY
    if (want.kind === 'manifest') refuseSchema1(mediaType, host.name)
    if ((size ?? 0) > limit) {
      throw new Failure('too-large', `${host.name}: the manifest is larger than ${limit} bytes`, {
        source: host.name,
        expected: limit,
        ...(size === undefined ? {} : { found: size }),
      })
    }
    validators.remember(want.digest, response.headers)
    intake.expect({ size, mediaType })
    hasBegun = true
    await response.body.readInto(intake, { skip, limit: limit - offset })
    if (end !== undefined && intake.position < end) {
      throw new Failure('unavailable', `${host.name} sent only a part of the requested range`, {
        source: host.name,
        expected: end,
        found: intake.position,
      })
    }
  } finally {
    if (!hasBegun) response.body.dispose()
  }
}

/** Finds out where in the content the body lies: the size of the content, the bytes to skip, and the end of the body. */
function locateBody(
  response: HttpResponse,
  { start: offset, end: wanted }: { start: number; end: number | undefined },
  source: string,
): { size: number | undefined; skip: number; end: number | undefined } {
  const { status, headers, body } = response
  if (status === 200) {
    const size = body.length
    if (size !== undefined && size < offset) {
      throw new Failure('unavailable', `${source} has less of the content than this node already has`, {
        source,
        expected: offset,
        found: size,
      })
    }
    return { size, skip: offset, end: size }
  }
  if (status !== 206) throw failureOfStatus(response, source)
  const range = parseContentRange(headers.get('content-range'))
  const length = range === undefined ? undefined : range.end - range.start + 1
  if (range?.start !== offset || (body.length !== undefined && body.length !== length)) {
    throw new Failure('unavailable', `${source} answers with another range than the requested one`, {
      source,
      expected: offset,
      ...(range === undefined ? {} : { found: range.start }),
    })
  }
  const whole = range.total ?? range.end + 1
  return { size: range.total, skip: 0, end: wanted === undefined ? whole : Math.min(wanted, whole) }
}
