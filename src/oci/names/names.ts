/** The grammar of names and tags, OCI distribution spec 1.1, "Pulling manifests". */

/** Of the name together with the registry's host, as clients limit it. */
export const MAX_NAME_LENGTH = 255

// Separators and letters share no character, so neither pattern can backtrack.
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text)
}

export function isTag(text: string): boolean {
  return TAG.test(text)
}
