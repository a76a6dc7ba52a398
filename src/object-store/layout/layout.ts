import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Want } from '../../ports/source.ts'

/** Where an object is in a bucket. */
export interface ContentKeys {
  /** The object that has the bytes. */
  readonly data: string
  /** The object that says that the repository has the content; undefined: no object says so. */
  readonly link: string | undefined
  /** The bytes of a manifest are a part of JSON, as oci-registry writes it. */
  readonly isWrapped: boolean
}

/** Which keys contents and names have in a bucket. Each method gives undefined for what the bucket cannot have. */
export interface Layout {
  contentKeys(want: Want): ContentKeys | undefined
  /** The object that says what a tag refers to. */
  tagKey(repository: Repository, tag: string): string | undefined
  /** Reads what a tag refers to from the text of that object. */
  parseTag(text: string): Digest | undefined
  /** The folder, with a slash at its end, in which each folder is a tag. */
  tagsFolder(repository: Repository): string | undefined
}
