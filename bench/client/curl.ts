import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findProgram } from '../program.ts'

const run = promisify(execFile)

export function isCurlInstalled(): boolean {
  return findProgram('curl') !== undefined
}

/** The MB/s of one download with curl. */
export async function curl(port: number, path: string, size: number): Promise<number> {
  const format = '%{http_code} %{size_download} %{time_total}'
  const url = `http://127.0.0.1:${port}${path}`
  const { stdout } = await run(findProgram('curl') ?? 'curl', ['-s', '-o', '/dev/null', '-w', format, url])
  const [status, bytes, seconds] = stdout.split(' ').map(Number)
  if (status !== 200 || bytes !== size) throw new Error(`curl ${url}: ${stdout}`)
  return bytes / 1e6 / (seconds ?? Number.NaN)
}
