// metrics-server as it is, with its API's models under the names by which Kubernetes 0.35's libraries look them up: its 0.8.0 was generated
// for 0.33's, and the release that is not needs libraries newer than this module's.
package main

import (
	"flag"
	"os"

	"github.com/spf13/pflag"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/logs"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"
	"sigs.k8s.io/metrics-server/pkg/api"
	generated "sigs.k8s.io/metrics-server/pkg/api/generated/openapi"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := run(genericapiserver.SetupSignalHandler()); err != nil {
		panic(err)
	}
}

func run(stop <-chan struct{}) error {
	given := options.NewOptions()
	flags := pflag.NewFlagSet(os.Args[0], pflag.ExitOnError)
	for _, set := range given.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	local := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	logs.AddGoFlags(local)
	flags.AddGoFlagSet(local)
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if problems := given.Validate(); len(problems) > 0 {
		return problems[0]
	}
	config, err := given.ServerConfig()
	if err != nil {
		return err
	}
	namer := openapinamer.NewDefinitionNamer(api.Scheme)
	v2, v3 := config.Apiserver.OpenAPIConfig.Info, config.Apiserver.OpenAPIV3Config.Info
	config.Apiserver.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	config.Apiserver.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	config.Apiserver.OpenAPIConfig.Info, config.Apiserver.OpenAPIV3Config.Info = v2, v3
	server, err := config.Complete()
	if err != nil {
		return err
	}
	return server.RunUntil(stop)
}

func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	renamed := map[string]common.OpenAPIDefinition{}
	for name, definition := range generated.GetOpenAPIDefinitions(func(path string) spec.Ref { return ref(util.ToRESTFriendlyName(path)) }) {
		for i, dependency := range definition.Dependencies {
			definition.Dependencies[i] = util.ToRESTFriendlyName(dependency)
		}
		renamed[util.ToRESTFriendlyName(name)] = definition
	}
	return renamed
}
