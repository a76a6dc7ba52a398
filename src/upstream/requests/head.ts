import { Failure } from '../../ports/failure.ts'
import type { Want } from '../../ports/source.ts'
import { parseContentRange } from '../headers/content-range.ts'
import { MANIFEST_ACCEPT, parseMediaType, refuseSchema1 } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { failureOfStatus } from '../http/status.ts'
import { pathOf } from './bring.ts'
import type { RegistryHost } from './question.ts'

/** What an answer says about the content it is for. */
export function describeResponse(
  response: HttpResponse,
  source: string,
): { mediaType: string | undefined; size: number | undefined } {
  const mediaType = parseMediaType(response.headers.get('content-type'))
  refuseSchema1(mediaType, source)
  const length = response.headers.get('content-length')
  return { mediaType, size: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined }
}

/** Size and type of a blob or manifest: by HEAD, else from the answer to a GET of one byte. */
export async function headAt(
  host: RegistryHost,
  want: Want,
  { signal }: { signal: AbortSignal },
): Promise<{ size: number; mediaType: string | undefined }> {
  const question = {
    kind: want.kind,
    path: pathOf(want),
    name: want.repository.name,
    ...(want.kind === 'manifest' ? { accept: MANIFEST_ACCEPT } : {}),
    signal,
  }
  const response = await host.ask({ ...question, method: 'HEAD' })
  if (response.status !== 200) throw failureOfStatus(response, host.name)
  response.body.dispose()
  const { size, mediaType } = describeResponse(response, host.name)
  if (size !== undefined) return { size, mediaType }
  const byte = await host.ask({ ...question, method: 'GET', headers: { range: 'bytes=0-0' } })
  if (byte.status !== 200 && byte.status !== 206) throw failureOfStatus(byte, host.name)
  byte.body.dispose()
  const total =
    byte.status === 200 ? byte.body.length : parseContentRange(byte.headers.get('content-range'))?.total
  if (total !== undefined) return { size: total, mediaType }
  throw new Failure('unavailable', `${host.name} does not say how large it is`, { source: host.name })
}
