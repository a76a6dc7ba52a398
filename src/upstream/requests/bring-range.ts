import { Failure } from '../../ports/failure.ts'
import type { Intake, Want } from '../../ports/source.ts'
import { parseContentRange } from '../headers/content-range.ts'
import { failureOfStatus } from '../http/status.ts'
import { pathOf } from './bring.ts'
import type { RegistryHost } from './registry-request.ts'
import type { Validators } from './validators.ts'

/** Brings one range of a blob from one host: see `Source.bringRange`. Only exactly this range of the same blob is accepted. */
export async function bringRangeFromHost(
  host: Pick<RegistryHost, 'name' | 'send'>,
  validators: Validators,
  want: Want,
  { end, size }: { readonly end: number; readonly size: number },
  intake: Intake,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const start = intake.position
  const ifRange = validators.ifRange(want.digest)
  const response = await host.send({
    method: 'GET',
    kind: want.kind,
    path: pathOf(want),
    name: want.repository.name,
    headers: {
      range: `bytes=${start}-${end - 1}`,
      ...(ifRange === undefined ? {} : { 'if-range': ifRange }),
    },
    signal,
  })
  const { status, headers, body } = response
  if (status !== 200 && status !== 206 && status !== 416) throw failureOfStatus(response, host.name)
  const range = status === 206 ? parseContentRange(headers.get('content-range')) : undefined
  const isRange = range?.start === start && range.end === end - 1 && range.total === size
  if (!isRange || !validators.isSame(want.digest, headers)) {
    body.dispose()
    throw new Failure('unsupported', `${host.name} does not answer with the requested range`, {
      source: host.name,
    })
  }
  intake.expect({ size, mediaType: undefined })
  await body.readInto(intake, { skip: 0, limit: end - start })
  if (intake.position < end) {
    throw new Failure('unavailable', `${host.name} sent only a part of the requested range`, {
      source: host.name,
      expected: end,
      found: intake.position,
    })
  }
}
