import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Blob } from '../content.ts'
import { findProgram, freePort, Program } from '../program.ts'
import { NAMESPACE } from './agent.ts'
import { hex, REPOSITORY } from './measured-server.ts'

const ACCESS = 'bench'
const SECRET = 'bench-secret'
const ROOT = 'docker/registry/v2'

/** A server that speaks S3, with the objects of one bucket as files. */
export class Versitygw {
  readonly program: Program
  readonly #endpoint: string
  readonly #files: string
  readonly #credentials: string

  /** Undefined where it is not installed. */
  static async start(folder: string): Promise<Versitygw | undefined> {
    const command = findProgram('versitygw')
    if (command === undefined) return undefined
    const root = join(folder, 'root')
    mkdirSync(join(root, 'images'), { recursive: true })
    const port = await freePort()
    const keys = ['--access', ACCESS, '--secret', SECRET]
    const args = [...keys, '--port', `127.0.0.1:${port}`, '--health', '/health', '--quiet', 'posix', root]
    const endpoint = `http://127.0.0.1:${port}`
    const program = await Program.start('versitygw', command, args, `${endpoint}/health`)
    const credentials = join(folder, 'credentials')
    writeFileSync(
      credentials,
      `[default]\naws_access_key_id = ${ACCESS}\naws_secret_access_key = ${SECRET}\n`,
    )
    return new Versitygw(program, endpoint, join(root, 'images'), credentials)
  }

  private constructor(program: Program, endpoint: string, files: string, credentials: string) {
    this.program = program
    this.#endpoint = endpoint
    this.#files = files
    this.#credentials = credentials
  }

  /** The settings of an agent that reads the bucket. */
  get settings(): string {
    return `objectStore:
  url: s3://images
  endpoint: ${this.#endpoint}
  credentials: file
  credentialsFile: ${this.#credentials}
  fill: none
`
  }

  /** Puts a blob into the bucket, as a registry has it there. */
  add(blob: Blob): void {
    const link = join(
      this.#files,
      ROOT,
      `repositories/${NAMESPACE}/${REPOSITORY}/_layers/sha256/${hex(blob.digest)}/link`,
    )
    const data = join(this.#files, keyOf(blob))
    for (const file of [link, data]) mkdirSync(dirname(file), { recursive: true })
    writeFileSync(link, blob.digest)
    linkSync(blob.file, data)
  }

  remove(blob: Blob): void {
    rmSync(join(this.#files, keyOf(blob)))
  }

  /** The arguments of curl for a blob. */
  curlArgs(blob: Blob): readonly string[] {
    const signing = ['--aws-sigv4', 'aws:amz:us-east-1:s3', '--user', `${ACCESS}:${SECRET}`]
    return [
      ...signing,
      '--header',
      'x-amz-content-sha256: UNSIGNED-PAYLOAD',
      `${this.#endpoint}/images/${keyOf(blob)}`,
    ]
  }

  stop(): Promise<void> {
    return this.program.stop()
  }
}

function keyOf({ digest }: Blob): string {
  const name = hex(digest)
  return `${ROOT}/blobs/sha256/${name.slice(0, 2)}/${name}/data`
}
