import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Failure } from '../../ports/failure.ts'

/** How a Docker daemon is reached. */
export interface DockerHost {
  /** As users write it. */
  readonly name: string
  readonly socketPath: string | undefined
  readonly origin: string
  readonly tls:
    | { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer; readonly isVerified: boolean }
    | undefined
  /** undefined: the newest version that the daemon speaks. */
  readonly apiVersion: string | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_HOST = 'unix:///var/run/docker.sock'

/** `given` is `env`, or a host as in `DOCKER_HOST`. Certificates and the API version come from Docker's own variables. */
export async function readDockerHost(given: string, env: Environment): Promise<DockerHost> {
  const name = given === 'env' ? (env['DOCKER_HOST'] ?? '') || DEFAULT_HOST : given
  const apiVersion = (env['DOCKER_API_VERSION'] ?? '').replace(/^v/, '') || undefined
  if (apiVersion !== undefined && !/^1\.\d+$/.test(apiVersion)) {
    throw new Failure('unsupported', `DOCKER_API_VERSION is ${apiVersion}; write a version such as 1.43.`)
  }
  const socketPath = /^unix:\/\/(\/.+)$/.exec(name)?.[1]
  if (socketPath !== undefined) {
    return { name, socketPath, origin: 'http://docker', tls: undefined, apiVersion }
  }
  const address = /^tcp:\/\/([^/\s]+)\/?$/.exec(name)?.[1]
  if (address === undefined) {
    throw new Failure('unsupported', `${name} is not a Docker host; write unix:///path or tcp://host:port.`)
  }
  const isVerified = (env['DOCKER_TLS_VERIFY'] ?? '') !== ''
  const folder = (env['DOCKER_CERT_PATH'] ?? '') || (isVerified ? join(homedir(), '.docker') : '')
  if (folder === '')
    return { name, socketPath: undefined, origin: `http://${address}`, tls: undefined, apiVersion }
  const ca = await readPem(join(folder, 'ca.pem'))
  const cert = await readPem(join(folder, 'cert.pem'))
  const key = await readPem(join(folder, 'key.pem'))
  const tls = { ca, cert, key, isVerified }
  return { name, socketPath: undefined, origin: `https://${address}`, tls, apiVersion }
}

async function readPem(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new Failure('unsupported', `The certificate of Docker's client cannot be read: ${String(cause)}.`, {
      cause,
    })
  })
}
