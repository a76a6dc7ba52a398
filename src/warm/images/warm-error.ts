import { type Reference, referenceText } from '../../oci/names/reference.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'

/** Why an image is not warm, in one sentence for people. */
export class WarmError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'WarmError'
  }
}

/** What could not be fetched: the image itself, the tag of a known repository, or a part of the image. */
export type FailedPart = 'image' | 'tag' | 'part'

export function toWarmError(error: unknown, reference: Reference, failedPart: FailedPart): WarmError {
  if (error instanceof WarmError) return error
  const message =
    error instanceof Failure
      ? failureText(error, reference, failedPart)
      : `${referenceText(reference)} could not be fetched because of an internal error; see the log of the agent`
  return new WarmError(message, { cause: error })
}

function failureText(failure: Failure, reference: Reference, failedPart: FailedPart): string {
  const { repository, tag } = reference
  const image = referenceText(reference)
  switch (failure.code) {
    case 'absent':
      if (failedPart === 'part') return `${image} is incomplete upstream: ${failure.message}`
      return failedPart === 'tag'
        ? `${repositoryKey(repository)} has no tag ${tag}; check the tag`
        : `${image} does not exist: ${failure.message}; check the name`
    case 'denied':
      return `${image} does not exist or is private: ${failure.message}; check the name, and the credentials for ${repository.registry} under upstreams`
    case 'busy':
      return `${image} is not available now: ${failure.message}; try again later`
    case 'disk':
      return `${image} cannot be stored: ${failure.message}; free disk space, or raise --max-bytes`
    case 'stopping':
      return `${image} is not completely stored yet: ${failure.message}`
    default:
      return `${image} could not be fetched: ${failure.message}`
  }
}
