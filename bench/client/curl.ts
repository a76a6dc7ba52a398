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

/** The MB/s of one file that so many curls read at once, each a part of it. */
export async function curlRanges(args: readonly string[], size: number, count: number): Promise<number> {
  const part = Math.ceil(size / count)
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const [start, end] = [at * part, Math.min(size, (at + 1) * part)]
      const format = '%{http_code} %{size_download}'
      const options = ['-s', '-o', '/dev/null', '-w', format, '--range', `${start}-${end - 1}`]
      const { stdout } = await run(findProgram('curl') ?? 'curl', [...options, ...args])
      if (stdout !== `206 ${end - start}`) throw new Error(`curl: ${stdout}`)
    }),
  )
  return size / 1000 / (performance.now() - startedAt)
}
