import { type Reference, referenceText } from '../../oci/names/reference.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'

/** Why an image is not warm, in a whole sentence for people. */
export class Shortfall extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Shortfall'
  }
}

/** What it was that could not be had: the image itself, a tag of a repository that is known, a part of the image. */
export type Missed = 'image' | 'tag' | 'part'

export function shortfall(error: unknown, reference: Reference, missed: Missed): Shortfall {
  if (error instanceof Shortfall) return error
  const image = referenceText(reference)
  const message =
    error instanceof Failure
      ? sentence(error, reference, missed)
      : `${image} could not be had: something went wrong, which the agent's log may tell`
  return new Shortfall(message, { cause: error })
}

function sentence(failure: Failure, reference: Reference, missed: Missed): string {
  const { repository, tag } = reference
  const image = referenceText(reference)
  switch (failure.code) {
    case 'absent':
      if (missed === 'part') return `${image} is not whole upstream: ${failure.message}`
      return missed === 'tag'
        ? `${repositoryKey(repository)} has no tag ${tag}; check the tag`
        : `${image} is not there: ${failure.message}; check the name`
    case 'denied':
      return `${image} is not there, or not for everybody: ${failure.message}; check the name, and the credentials for ${repository.registry} under upstreams`
    case 'busy':
      return `${image} cannot be had now: ${failure.message}; try again later`
    case 'disk':
      return `${image} cannot be kept: ${failure.message}; make room on the disk, or raise --max-bytes`
    case 'stopping':
      return `${image} is not all here yet: ${failure.message}`
    default:
      return `${image} could not be had: ${failure.message}`
  }
}
