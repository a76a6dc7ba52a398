import { spawn } from 'node:child_process'
import * as v from 'valibot'
import { onAbort } from '../../lib/async/abort.ts'
import { Failure } from '../../ports/failure.ts'
import { type Credential, credentialOf } from './credential.ts'

/** A helper may ask the login service of a cloud. */
const DEADLINE_MS = 10_000
const OUTPUT_LIMIT = 64 * 1024
const HELPER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
/** A helper without credentials prints this text on stdout and exits with an error. */
const NOT_FOUND = 'credentials not found'

const HelperOutput = v.object({ Username: v.string(), Secret: v.string() })

/**
 * Runs `docker-credential-<name>` for the credentials of a server, by its protocol: the server's name on stdin, JSON on
 * stdout. Returns undefined when the helper has none. Other output is never shown, because it may contain secrets.
 */
export async function runCredentialHelper(
  name: string,
  server: string,
  { signal, deadlineMs = DEADLINE_MS }: { signal: AbortSignal; deadlineMs?: number },
): Promise<Credential | undefined> {
  const command = `docker-credential-${name}`
  const fail = (why: string, cause?: unknown): Failure =>
    new Failure('unavailable', `${command} ${why}`, { source: command, cause })
  if (!HELPER_NAME.test(name))
    throw new Failure('unavailable', 'the docker config has an invalid name of a credential helper')
  const { output, code } = await new Promise<{ output: string; code: number | null }>((resolve, reject) => {
    const child = spawn(command, ['get'], { stdio: ['pipe', 'pipe', 'ignore'] })
    const end = (why: string): void => {
      child.kill('SIGKILL')
      reject(fail(why))
    }
    const timer = setTimeout(() => end(`did not answer within ${deadlineMs} ms`), deadlineMs)
    const stop = onAbort(signal, () => end('was stopped with its request'))
    const chunks: Buffer[] = []
    let length = 0
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > OUTPUT_LIMIT) return end('printed too much')
      chunks.push(chunk)
    })
    child.on('error', (error) => reject(fail('cannot be run', error)))
    child.on('close', (code) => resolve({ output: Buffer.concat(chunks).toString(), code }))
    child.on('exit', () => {
      clearTimeout(timer)
      stop()
    })
    child.on('error', () => clearTimeout(timer))
    // The helper may exit without reading its input.
    child.stdin.on('error', () => {})
    child.stdin.end(`${server}\n`)
  })
  signal.throwIfAborted()
  if (code !== 0) {
    if (output.includes(NOT_FOUND)) return undefined
    throw fail(`failed with exit code ${code}`)
  }
  const answer = v.safeParse(v.pipe(v.string(), v.parseJson(), HelperOutput), output)
  if (!answer.success) throw fail('did not answer in the format of credential helpers')
  const { Username, Secret } = answer.output
  return Secret === '' ? undefined : credentialOf(Username, Secret)
}
