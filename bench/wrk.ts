import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { LoadRequest } from './client/jobs.ts'
import { findProgram } from './program.ts'

const run = promisify(execFile)

export function wrkInstalled(): boolean {
  return findProgram('wrk') !== undefined
}

/** Requests per second, as wrk sees them. */
export async function wrk(
  request: { readonly port: number } & LoadRequest,
  connections: number,
  seconds: number,
): Promise<number> {
  const url = `http://127.0.0.1:${request.port}${request.path}`
  const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  const { stdout } = await run(findProgram('wrk') ?? 'wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    ...headers,
    url,
  ])
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.+)/.exec(stdout)
  if (failed !== null) throw new Error(`wrk on ${url}: ${failed[0]}`)
  return Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1])
}
