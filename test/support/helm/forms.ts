/**
 * What the Kubernetes API takes of the kinds that the chart makes: the keys of each object, nested,
 * and which must be there. Anything else is what the API would refuse, or drop without a word.
 */
import type { Json, KubernetesObject } from './chart.ts';

type Form = 'any' | 'text' | 'number' | 'flag' | 'texts' | readonly [Form] | Fields;
interface Fields {
  /** A key that ends in `!` must be there. */
  readonly [key: string]: Form;
}

const selector: Form = { 'matchLabels!': 'any' };
const peers: Form = [{ podSelector: selector, namespaceSelector: selector, ipBlock: 'any' }];
const policyPorts: Form = [{ 'port!': 'any', 'protocol!': 'text' }];
const probe: Form = {
  'httpGet!': { 'path!': 'text', 'port!': 'any', scheme: 'text' },
  periodSeconds: 'number',
  timeoutSeconds: 'number',
  failureThreshold: 'number',
};
const container: Form = {
  'name!': 'text',
  'image!': 'text',
  imagePullPolicy: 'text',
  args: 'texts',
  'securityContext!': {
    'allowPrivilegeEscalation!': 'flag',
    'readOnlyRootFilesystem!': 'flag',
    'capabilities!': { 'drop!': 'texts' },
  },
  'ports!': [{ 'name!': 'text', 'containerPort!': 'number', 'protocol!': 'text' }],
  env: [{ 'name!': 'text', value: 'text', valueFrom: 'any' }],
  envFrom: ['any'],
  'startupProbe!': probe,
  'readinessProbe!': probe,
  'livenessProbe!': probe,
  lifecycle: { preStop: { exec: { 'command!': 'texts' } } },
  'resources!': { 'requests!': 'any', 'limits!': 'any' },
  'volumeMounts!': [{ 'name!': 'text', 'mountPath!': 'text', subPath: 'text', readOnly: 'flag' }],
};
const podSpec: Form = {
  serviceAccountName: 'text',
  'automountServiceAccountToken!': 'flag',
  enableServiceLinks: 'flag',
  'terminationGracePeriodSeconds!': 'number',
  priorityClassName: 'text',
  imagePullSecrets: [{ 'name!': 'text' }],
  'securityContext!': {
    'runAsNonRoot!': 'flag',
    'runAsUser!': 'number',
    'runAsGroup!': 'number',
    'fsGroup!': 'number',
    fsGroupChangePolicy: 'text',
    'seccompProfile!': { 'type!': 'text' },
  },
  nodeSelector: 'any',
  tolerations: ['any'],
  affinity: 'any',
  topologySpreadConstraints: [
    {
      'maxSkew!': 'number',
      'topologyKey!': 'text',
      'whenUnsatisfiable!': 'text',
      'labelSelector!': selector,
    },
  ],
  'containers!': [container],
  'volumes!': [
    {
      'name!': 'text',
      emptyDir: { sizeLimit: 'text' },
      configMap: { 'name!': 'text', items: [{ 'key!': 'text', 'path!': 'text' }] },
      secret: { 'secretName!': 'text', defaultMode: 'number' },
    },
  ],
};
const secretKey: Form = { 'name!': 'text', 'key!': 'text' };

const FORMS: Readonly<Record<string, Fields>> = {
  'v1 ConfigMap': { 'data!': 'any' },
  'v1 Secret': { 'type!': 'text', 'stringData!': 'any' },
  'v1 ServiceAccount': { 'automountServiceAccountToken!': 'flag' },
  'v1 Service': {
    'spec!': {
      type: 'text',
      clusterIP: 'text',
      publishNotReadyAddresses: 'flag',
      externalTrafficPolicy: 'text',
      'selector!': 'any',
      'ports!': [
        { 'name!': 'text', 'port!': 'number', 'targetPort!': 'text', 'protocol!': 'text' },
      ],
    },
  },
  'apps/v1 StatefulSet': {
    'spec!': {
      'replicas!': 'number',
      'serviceName!': 'text',
      podManagementPolicy: 'text',
      updateStrategy: { 'type!': 'text' },
      persistentVolumeClaimRetentionPolicy: { 'whenScaled!': 'text', 'whenDeleted!': 'text' },
      'selector!': selector,
      'template!': { 'metadata!': { 'labels!': 'any', annotations: 'any' }, 'spec!': podSpec },
      volumeClaimTemplates: [
        {
          'metadata!': { 'name!': 'text' },
          'spec!': {
            'accessModes!': 'texts',
            storageClassName: 'text',
            'resources!': { 'requests!': { 'storage!': 'text' } },
          },
        },
      ],
    },
  },
  'policy/v1 PodDisruptionBudget': {
    'spec!': { 'maxUnavailable!': 'number', 'selector!': selector },
  },
  'networking.k8s.io/v1 NetworkPolicy': {
    'spec!': {
      'podSelector!': selector,
      'policyTypes!': 'texts',
      'ingress!': [{ ports: policyPorts, from: peers }],
      egress: [{ ports: policyPorts, to: peers }],
    },
  },
  'networking.k8s.io/v1 Ingress': {
    'spec!': {
      ingressClassName: 'text',
      tls: [{ 'hosts!': 'texts', 'secretName!': 'text' }],
      'rules!': [
        {
          'host!': 'text',
          'http!': {
            'paths!': [
              {
                'path!': 'text',
                'pathType!': 'text',
                'backend!': {
                  'service!': { 'name!': 'text', 'port!': { name: 'text', number: 'number' } },
                },
              },
            ],
          },
        },
      ],
    },
  },
  'monitoring.coreos.com/v1 ServiceMonitor': {
    'spec!': {
      'selector!': selector,
      'endpoints!': [
        {
          'port!': 'text',
          'path!': 'text',
          'interval!': 'text',
          'scheme!': 'text',
          tlsConfig: { insecureSkipVerify: 'flag' },
          'basicAuth!': { 'username!': secretKey, 'password!': secretKey },
        },
      ],
    },
  },
  'monitoring.coreos.com/v1 PrometheusRule': {
    'spec!': {
      'groups!': [
        {
          'name!': 'text',
          interval: 'text',
          'rules!': [
            {
              record: 'text',
              alert: 'text',
              'expr!': 'text',
              for: 'text',
              labels: 'any',
              annotations: 'any',
            },
          ],
        },
      ],
    },
  },
};

/** What is wrong with an object, each with its path. */
export function formProblems(object: KubernetesObject): readonly string[] {
  const kind = `${object.apiVersion} ${object.kind}`;
  const form = FORMS[kind];
  const name = `${object.kind} ${object.metadata.name}`;
  if (form === undefined) return [`${name}: no form is written for ${kind}`];
  const whole: Fields = {
    'apiVersion!': 'text',
    'kind!': 'text',
    'metadata!': { 'name!': 'text', 'labels!': 'any', annotations: 'any' },
    ...form,
  };
  const named = [object.metadata.name, ...Object.values(object.metadata.labels)].filter(
    (text) => !/^[a-z0-9A-Z]([-\w.]{0,61}[a-z0-9A-Z])?$/.test(text),
  );
  return [...problemsOf(object, whole, name), ...named.map((text) => `${name}: "${text}"`)];
}

function problemsOf(value: unknown, form: Form, at: string): string[] {
  if (form === 'any') return value === null || value === undefined ? [`${at}: empty`] : [];
  if (form === 'text') return typeof value === 'string' ? [] : [`${at}: ${value} is no text`];
  if (form === 'number') return typeof value === 'number' ? [] : [`${at}: ${value} is no number`];
  if (form === 'flag') return typeof value === 'boolean' ? [] : [`${at}: ${value} is no flag`];
  if (form === 'texts') return problemsOf(value, ['text'], at);
  if (isList(form)) {
    if (!Array.isArray(value)) return [`${at}: no list`];
    return value.flatMap((one, index) => problemsOf(one, form[0], `${at}[${index}]`));
  }
  return fieldProblems(value, form, at);
}

const isList = (form: Exclude<Form, string>): form is readonly [Form] => Array.isArray(form);

function fieldProblems(value: unknown, form: Fields, at: string): string[] {
  if (typeof value !== 'object' || value === null) return [`${at}: no object`];
  const found: string[] = [];
  for (const [key, inner] of Object.entries(value as Json)) {
    const known = form[`${key}!`] ?? form[key];
    if (known === undefined) found.push(`${at}.${key}: the API knows no such key`);
    else found.push(...problemsOf(inner, known, `${at}.${key}`));
  }
  for (const key of Object.keys(form)) {
    if (key.endsWith('!') && !(key.slice(0, -1) in value)) found.push(`${at}.${key}: missing`);
  }
  return found;
}
