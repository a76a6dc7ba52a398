import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'

/** What somebody wants to read of a repository. */
export type WantedContent =
  | { readonly kind: 'manifest'; readonly reference: string }
  | { readonly kind: 'blob'; readonly digest: Digest }
  | { readonly kind: 'tags' }

/** The user and the password that a client has for a registry. They are kept until the registry has answered. */
export interface RegistryLogin {
  readonly user: string
  readonly password: string
}

/** Is told when a question begins to wait for its turn because of a limit of this agent, and when its turn has come. */
export type OnPace = (state: 'waits' | 'begins') => void

/** What registries say about who may pull from their repositories. */
export interface PullRights {
  /** Whether there is a registry that decides. */
  readonly isUsed: boolean
  /**
   * For how long a right counts that the registry has confirmed, while it cannot be asked; undefined when the registry of
   * the repository does not decide.
   */
  staleMsOf(repository: Repository): number | undefined
  /**
   * Asks the registry whether it gives the content to whoever has the login; without one, to everybody. Rejects with a
   * `Failure`: `denied` and `absent` are its answers, after any other one the registry could not be asked. A failure between
   * `waits` and `begins` is of this agent's own limit.
   */
  confirm(
    repository: Repository,
    content: WantedContent,
    login: RegistryLogin | undefined,
    options: { signal: AbortSignal; onPace?: OnPace | undefined },
  ): Promise<void>
}
