/** Clients limit the name together with the registry's host to this length. */
export const MAX_NAME_LENGTH = 255

// The grammar of OCI distribution spec 1.1, "Pulling manifests". Separators and letters share no character, so neither
// pattern can backtrack.
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text)
}

export function isTag(text: string): boolean {
  return TAG.test(text)
}
