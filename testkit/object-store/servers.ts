import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { addCleanup } from '../cleanup.ts'
import { answers, Daemon, freePort } from '../daemon.ts'
import { findProgram } from '../programs.ts'

/** What both servers take for credentials. */
export const TEST_KEYS = {
  AWS_ACCESS_KEY_ID: 'leat-test',
  AWS_SECRET_ACCESS_KEY: 'leat-test-secret',
} as const

export interface S3Server {
  readonly endpoint: string
  readonly bucket: string
}

/** moto's server, which keeps objects in memory. Undefined: the test is skipped. */
export async function startMoto(t: TestContext): Promise<S3Server | undefined> {
  const modules = process.env['LEAT_MOTO']
  const python = findProgram('python3')
  if (modules === undefined || python === undefined) {
    t.skip('missing: moto (pip install --target DIR "moto[s3,server]", and LEAT_MOTO=DIR)')
    return undefined
  }
  const port = await freePort()
  const moto = new Daemon('moto', python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    env: { PYTHONPATH: modules, ...TEST_KEYS },
  })
  addCleanup(t, () => moto.stop('SIGKILL'))
  const endpoint = `http://127.0.0.1:${port}`
  await moto.ready(() => answers(`${endpoint}/moto-api/data.json`))
  await createBucket(endpoint)
  return { endpoint, bucket: 'images' }
}

/**
 * versitygw, which keeps objects as files of `root/BUCKET`. Undefined: the test is skipped. `more`: options of the program
 * before the name of its backend.
 */
export async function startVersitygw(
  t: TestContext,
  root: string,
  { bucket = 'images', more = [] }: { readonly bucket?: string; readonly more?: readonly string[] } = {},
): Promise<(S3Server & { readonly files: string; readonly daemon: Daemon }) | undefined> {
  const program = findProgram('versitygw')
  if (program === undefined) {
    t.skip('missing: versitygw (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)')
    return undefined
  }
  const files = join(root, bucket)
  await mkdir(files, { recursive: true })
  await mkdir(join(root, '.sidecar'), { recursive: true })
  const port = await freePort()
  const keys = {
    ROOT_ACCESS_KEY: TEST_KEYS.AWS_ACCESS_KEY_ID,
    ROOT_SECRET_KEY: TEST_KEYS.AWS_SECRET_ACCESS_KEY,
  }
  const daemon = new Daemon(
    'versitygw',
    program,
    ['--port', `127.0.0.1:${port}`, '--health', '/health', ...more, 'posix', root],
    { env: keys },
  )
  addCleanup(t, () => daemon.stop('SIGKILL'))
  const endpoint = `http://127.0.0.1:${port}`
  await daemon.ready(() => answers(`${endpoint}/health`))
  return { endpoint, bucket, files, daemon }
}

/** The settings of an agent process whose object store this is, with the credentials in a file of the folder. */
export async function bucketSettings({ endpoint, bucket }: S3Server, folder: string): Promise<string> {
  const credentialsFile = join(folder, 'credentials')
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = TEST_KEYS
  await writeFile(
    credentialsFile,
    `[default]\naws_access_key_id = ${AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}\n`,
  )
  const settings = { url: `s3://${bucket}`, endpoint, credentials: 'file', credentialsFile }
  const lines = Object.entries(settings).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}\n`)
  return `objectStore:\n${lines.join('')}`
}

async function createBucket(endpoint: string): Promise<void> {
  const authorization = `AWS4-HMAC-SHA256 Credential=${TEST_KEYS.AWS_ACCESS_KEY_ID}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0`
  const response = await fetch(`${endpoint}/images`, { method: 'PUT', headers: { authorization } })
  if (!response.ok) throw new Error(`The bucket was not created: ${response.status} ${await response.text()}`)
}
