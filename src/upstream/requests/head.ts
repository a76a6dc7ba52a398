import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import { parseContentRange } from '../headers/content-range.ts'
import { MANIFEST_ACCEPT, parseMediaType, refuseSchema1 } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { failureOfStatus } from '../http/status.ts'
import { pathOf } from './bring.ts'
import type { RegistryHost } from './registry-request.ts'

/** The media type and size of the content that a response states. */
export function describeResponse(
  response: HttpResponse,
  source: string,
): { mediaType: string | undefined; size: number | undefined } {
  const mediaType = parseMediaType(response.headers.get('content-type'))
  refuseSchema1(mediaType, source)
  const length = response.headers.get('content-length')
  return { mediaType, size: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined }
}

/** Requests the size and type of a blob or manifest with HEAD, or else with a GET of one byte. */
export async function requestHead(
  host: RegistryHost,
  want: Want,
  { signal }: { signal: AbortSignal },
): Promise<{ size: number; mediaType: string | undefined }> {
  const request = {
    kind: want.kind,
    path: pathOf(want),
    name: want.repository.name,
    ...(want.kind === 'manifest' ? { accept: MANIFEST_ACCEPT } : {}),
    signal,
  }
  const response = await host.send({ ...request, method: 'HEAD' })
  if (response.status !== 200) throw failureOfStatus(response, host.name)
  response.body.dispose()
  const { size, mediaType } = describeResponse(response, host.name)
  if (size !== undefined) return { size, mediaType }
  const firstByte = await host.send({ ...request, method: 'GET', headers: { range: 'bytes=0-0' } })
  if (firstByte.status !== 200 && firstByte.status !== 206) throw failureOfStatus(firstByte, host.name)
  firstByte.body.dispose()
  const total =
    firstByte.status === 200
      ? firstByte.body.length
      : parseContentRange(firstByte.headers.get('content-range'))?.total
  if (total !== undefined) return { size: total, mediaType }
  throw new Failure('unavailable', `${host.name} does not state the size of the content`, {
    source: host.name,
  })
}
