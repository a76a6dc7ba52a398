import { Failure } from '../../../ports/failure.ts'

/** Becomes 503, after which a container runtime asks the registry itself. */
export function bytesGoneFailure(offset: number): Failure {
  const message = `The content is passed through without being stored, and byte ${offset} has left memory.`
  return new Failure('busy', message)
}

export function readerLeftFailure(): Failure {
  return new Failure('stopping', 'The reader has left.')
}

export function idleReaderFailure(ms: number): Failure {
  const message = `The reader has taken nothing for ${ms / 1000} s, and the content cannot be stored for it.`
  return new Failure('stalled', message)
}

export function sizeChangedFailure(expected: number, found: number): Failure {
  const message = `The content has ${found} bytes, not the ${expected} that a source first declared.`
  return new Failure('corrupt', message, { expected, found })
}
