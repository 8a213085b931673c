// Command csi-descriptor prints the descriptors of the upstream modules, as one serialized FileDescriptorSet:
// the facts that our own descriptions in proto/ are compared with.
package main

import (
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	deviceplugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

func main() {
	set := &descriptorpb.FileDescriptorSet{}
	files := []protoreflect.FileDescriptor{csi.File_csi_proto, registration.File_staging_src_k8s_io_kubelet_pkg_apis_pluginregistration_v1_api_proto,
		deviceplugin.File_staging_src_k8s_io_kubelet_pkg_apis_deviceplugin_v1beta1_api_proto, podresources.File_staging_src_k8s_io_kubelet_pkg_apis_podresources_v1_api_proto}
	for _, file := range files {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	bytes, err := proto.Marshal(set)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(bytes)
}
