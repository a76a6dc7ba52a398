import { repositoryKey } from '../../oci/names/repository.ts'
import { type Events, subscribe } from '../events.ts'
import { redact } from '../redact.ts'
import { Repeats } from './repeats.ts'

/** A pull that has failed, or requests of it in the last minute. */
export interface FailedPull {
  readonly image: string
  /** The status of the answer; 200 if its body was cut off. */
  readonly status: number
  /** The host that has failed, if one has. */
  readonly source: string | undefined
  readonly reason: string
}

/** Reports failed pulls: the first request of an image at once, the following ones together. Returns what ends this. */
export function reportFailedPulls(report: (pull: FailedPull, times: number) => void): () => void {
  const repeats = new Repeats<FailedPull>(report)
  const unsubscribe = subscribe('request.ended', (event) => {
    const pull = failedPullOf(event)
    if (pull !== undefined) repeats.add(`${pull.image} ${pull.status}`, pull)
  })
  return () => {
    unsubscribe()
    repeats.close()
  }
}

function failedPullOf(event: Events['request.ended']): FailedPull | undefined {
  const { route, method, code, error, repository, reference, failedSource } = event
  if (error === undefined || repository === undefined) return undefined
  if (route !== 'manifest' && route !== 'blob') return undefined
  if (method !== 'GET' && method !== 'HEAD') return undefined
  const name = repositoryKey(repository)
  // An image may have many blobs, which fail for the same reason.
  const part = route === 'blob' ? ' (a blob)' : referenceText(reference)
  return { image: `${name}${part}`, status: code, source: failedSource, reason: redact(error) }
}

function referenceText(reference: string | undefined): string {
  if (reference === undefined) return ''
  return `${reference.includes(':') ? '@' : ':'}${reference}`
}
