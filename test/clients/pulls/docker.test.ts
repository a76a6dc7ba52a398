import { docker } from '../kinds/docker.ts'
import { pullsThroughTheAgent } from './pull-steps.ts'

pullsThroughTheAgent(docker)
