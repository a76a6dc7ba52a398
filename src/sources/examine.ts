import type { NameRules } from '../oci/names/name-rules.ts'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import type { ImageIdentity } from '../ports/local-source.ts'
import { DockerClient } from './docker/docker-client.ts'
import { type Environment, readDockerHost } from './docker/docker-host.ts'
import { namedImages } from './docker/docker-index.ts'
import { identityOf } from './docker/image-digests.ts'
import { FileVerifier } from './files/file-verifier.ts'
import { HiddenImages } from './hidden-images.ts'
import {
  type Compare,
  type ListedSource,
  PATIENCE_MS,
  type SourceState,
  SourceStates,
} from './source-states.ts'
import { fileSource, nameRules, type SourceOptions } from './sources.ts'

type Options = { readonly signal: AbortSignal }
type Images = ReturnType<typeof namedImages>

/**
 * The states of the sources as this process would see them, without a store. Whoever starts no agent learns by it what one
 * with these settings would find. `patienceMs`: how long a source is waited for, and then the comparison of all images.
 */
export async function examineSources(
  options: readonly SourceOptions[],
  defaultRegistry: string,
  patienceMs = PATIENCE_MS,
): Promise<readonly SourceState[]> {
  const verifier = new FileVerifier()
  const daemons: ExaminedDocker[] = []
  const listed = options.map(({ from, isExclusive = false, ...given }): ListedSource => {
    const rules = nameRules(given, defaultRegistry)
    if (from.kind !== 'docker')
      return { isExclusive, source: fileSource(from, { rules, isExclusive, verifier }) }
    const source = new ExaminedDocker(from.host, from.environment ?? {}, rules)
    daemons.push(source)
    return { isExclusive, source }
  })
  const hidden = new HiddenImages(listed.map(({ source }) => source))
  const compare: Compare = (repositories) => hidden.find(repositories, AbortSignal.timeout(patienceMs))
  try {
    return await new SourceStates(listed, compare, patienceMs).read()
  } finally {
    await hidden.close()
    await Promise.all([verifier.close(), ...daemons.map((daemon) => daemon.close())])
  }
}

/** The images of a Docker daemon as they are at the first question. */
class ExaminedDocker {
  readonly name: string
  readonly #host: string
  readonly #environment: Environment
  readonly #rules: NameRules
  #client: Promise<DockerClient> | undefined
  #images: Promise<Images> | undefined

  constructor(host: string, environment: Environment, rules: NameRules) {
    this.name = `docker ${host}`
    this.#host = host
    this.#environment = environment
    this.#rules = rules
  }

  async repositories(options: Options): Promise<readonly Repository[]> {
    return [...(await this.#read(options)).values()].map(({ repository }) => repository)
  }

  async tags(repository: Repository, options: Options): Promise<readonly string[]> {
    const images = (await this.#read(options)).get(repositoryKey(repository))
    return [...(images?.byTag.keys() ?? [])]
  }

  async identify(repository: Repository, tag: string, options: Options): Promise<ImageIdentity | undefined> {
    const named = (await this.#read(options)).get(repositoryKey(repository))?.byTag.get(tag)
    const image = named && (await (await this.#connect()).inspect(named.reference, options.signal))
    return image && identityOf(image)
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined)
    await client?.close()
  }

  #connect(): Promise<DockerClient> {
    this.#client ??= readDockerHost(this.#host, this.#environment).then((host) => new DockerClient(host))
    return this.#client
  }

  #read({ signal }: Options): Promise<Images> {
    this.#images ??= this.#connect()
      .then((client) => client.list(signal))
      .then((listed) => namedImages(listed, this.#rules))
    return this.#images
  }
}
