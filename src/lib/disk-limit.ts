/** An amount of disk: absolute, or a share of a filesystem. */
export type DiskLimit = { readonly bytes: number } | { readonly percent: number }
