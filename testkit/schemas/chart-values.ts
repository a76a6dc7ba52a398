import { settingsSchema } from '../../src/config/json-schema.ts'
import { SETTINGS, type SettingName } from '../../src/config/schema.ts'
import { formatOf } from './chart-formats.ts'

/** The settings for which the chart has values of its own, which its templates turn into flags and variables. */
export const CHART_SETTINGS: readonly SettingName[] = [
  'listen',
  'admin',
  'adminAuth',
  'adminTls',
  'data',
  'maxBytes',
  'minFree',
  'drainTimeout',
  'peersSecretFile',
  'bootstrap',
  'dht',
  'peerListen',
  'advertise',
  'nodeName',
  'zone',
  'maxUpload',
  'maxDownload',
  'logLevel',
]

type Schema = Readonly<Record<string, unknown>>

const YES_OR_NO = { type: 'boolean' }
const PORT = { type: 'integer', minimum: 1024, maximum: 65535 }
const NAME = { type: 'string', pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$', maxLength: 253 }
const LABEL = { type: 'string', pattern: '^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$', maxLength: 40 }
const FOLDER = { type: 'string', pattern: '^(/[A-Za-z0-9._-]+)+$' }
const LABELS = { type: 'object', additionalProperties: { type: 'string' } }
const OBJECTS = { type: 'array', items: { type: 'object' } }
const NAMED = { type: 'array', items: { type: 'object', required: ['name'] } }
const TEXTS = { type: 'array', items: { type: 'string', minLength: 1 } }
const RESOURCES = map({ requests: { type: 'object' }, limits: { type: 'object' } })

/** The JSON Schema of the chart's values. Helm checks drafts up to 7 in all of its versions. */
export function chartValuesSchema(): Schema {
  const names = Object.keys(SETTINGS) as SettingName[]
  const inConfig = names.filter((name) => SETTINGS[name].inFile && !CHART_SETTINGS.includes(name))
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...map({
      global: { type: 'object' },
      ...agentValues(),
      config: settingsSchema(inConfig),
      ...podValues(),
    }),
  }
}

function agentValues(): Readonly<Record<string, Schema>> {
  return {
    nameOverride: LABEL,
    fullnameOverride: LABEL,
    image: map({
      repository: { type: 'string', pattern: '^([A-Za-z0-9][A-Za-z0-9._:/-]*)?$' },
      tag: { type: 'string', pattern: '^(\\w[\\w.-]{0,127})?$' },
      digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
      pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
      pullSecrets: { type: 'array', items: NAME },
    }),
    registry: map({ port: PORT }),
    admin: map({ port: PORT, listen: { enum: ['loopback', 'node'] }, tokenSecret: NAME, tlsSecret: NAME }),
    data: map({ hostPath: FOLDER, maxBytes: formatOf('maxBytes'), minFree: formatOf('minFree') }),
    drainSeconds: { type: 'integer', minimum: 0, maximum: 3600 },
    logLevel: formatOf('logLevel'),
    credentialsSecret: NAME,
    runtime: map({
      install: YES_OR_NO,
      name: { enum: ['containerd', 'crio'] },
      folder: FOLDER,
      config: FOLDER,
      writeConfig: YES_OR_NO,
      registries: TEXTS,
      only: TEXTS,
      caFile: { type: 'string', pattern: '^((/[A-Za-z0-9._-]+)+)?$' },
      restoreSeconds: { type: 'integer', minimum: 10, maximum: 3600 },
    }),
    peers: map({
      enabled: YES_OR_NO,
      secret: { type: 'string', pattern: '^(.{16,}(\\n.{16,})?\\n?)?$' },
      existingSecret: NAME,
      secretKey: { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
      port: PORT,
      dhtPort: PORT,
      listen: { enum: ['node', 'any'] },
      zone: formatOf('zone'),
      maxUpload: formatOf('maxUpload'),
      maxDownload: formatOf('maxDownload'),
      bootstrap: formatOf('bootstrap'),
    }),
    dht: map({
      enabled: YES_OR_NO,
      replicas: { type: 'integer', minimum: 1, maximum: 9 },
      port: PORT,
      resources: RESOURCES,
      nodeSelector: LABELS,
      tolerations: OBJECTS,
    }),
    clusterDomain: { type: 'string', minLength: 1 },
  }
}

/** What the chart has no setting of the agent for: pods, policies, monitoring. */
function podValues(): Readonly<Record<string, Schema>> {
  return {
    resources: RESOURCES,
    nodeSelector: LABELS,
    affinity: { type: 'object' },
    tolerations: OBJECTS,
    startupTaint: map({
      enabled: YES_OR_NO,
      key: {
        type: 'string',
        pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
        maxLength: 253,
      },
      mostSeconds: { type: 'integer', minimum: 0 },
    }),
    events: map({ enabled: YES_OR_NO, afterSeconds: { type: 'integer', minimum: 1 } }),
    maxUnavailable: { type: ['string', 'integer'], pattern: '^[1-9][0-9]?%$|^100%$', minimum: 1 },
    priorityClass: map({ create: YES_OR_NO, value: { type: 'integer', maximum: 1000000000 }, name: NAME }),
    seLinuxType: { type: 'string', pattern: '^[a-z_]*$' },
    networkPolicy: map({ enabled: YES_OR_NO, from: OBJECTS, adminFrom: OBJECTS }),
    serviceMonitor: map({
      enabled: YES_OR_NO,
      interval: { type: 'string', pattern: '^[0-9]+(ms|s|m)$' },
      labels: LABELS,
    }),
    prometheusRule: map({ enabled: YES_OR_NO, labels: LABELS }),
    dashboard: map({ enabled: YES_OR_NO, labels: LABELS }),
    podAnnotations: LABELS,
    podLabels: LABELS,
    extraEnv: NAMED,
    extraVolumes: NAMED,
    extraVolumeMounts: { type: 'array', items: { type: 'object', required: ['name', 'mountPath'] } },
  }
}

function map(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', additionalProperties: false, properties }
}
