// SPDX-License-Identifier: MIT
// The rows of `sphere device` for what the device keeps beside apps: network, Wi-Fi, certificates,
// capabilities, state, log; the run functions stand in cli/net/device_*.cpp.
#include <array>
#include <span>
#include <string_view>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"

namespace sphere::cli {
namespace {

constexpr std::array<std::string_view, 1> kOldComponentid = {"componentid"};
constexpr std::array<std::string_view, 2> kDevicecompleteModule1Complete = {"DeviceComplete",
                                                                            "Module1Complete"};
constexpr std::array<std::string_view, 2> kOldCertIdCertid = {"cert-id", "certid"};
constexpr std::array<std::string_view, 2> kClientRootca = {"client", "rootca"};
constexpr std::array<std::string_view, 1> kOldInterfaceName = {"interface-name"};
constexpr std::array<std::string_view, 2> kAnonymousBasic = {"anonymous", "basic"};
constexpr std::array<std::string_view, 1> kOldKey = {"key"};
constexpr std::array<std::string_view, 6> kFatalErrorWarningInfoDebugTrace = {
    "fatal", "error", "warning", "info", "debug", "trace"};
constexpr std::array<std::string_view, 1> kOldEnablertcoredebugging = {"enablertcoredebugging"};
constexpr std::array kAppShowQuotaOptions = {OptionSpec{.name = "component-id",
                                                        .short_name = "i",
                                                        .value_name = "ID",
                                                        .help = "The app; without it, all apps",
                                                        .aliases = kOldComponentid}};
constexpr std::array<std::string_view, 1> kAppShowQuotaExamples = {"sphere device app show-quota"};
constexpr std::array<std::string_view, 1> kAppShowMemoryStatsExamples = {
    "sphere device app show-memory-stats"};
constexpr std::array kAppShowSandboxOptions = {
    OptionSpec{.name = "component-id",
               .short_name = "i",
               .value_name = "ID",
               .help = "The app; needed when several are installed",
               .aliases = kOldComponentid}};
constexpr std::array<std::string_view, 1> kAppShowSandboxExamples = {
    "sphere device app show-sandbox"};
constexpr std::array<std::string_view, 1> kCapabilityShowAttachedExamples = {
    "sphere device capability show-attached"};
constexpr std::array kCapabilityApplyOptions = {
    OptionSpec{.name = "capability-file", .value_name = "FILE", .help = "Capability file"},
    OptionSpec{
        .name = "none", .short_name = "n", .kind = OptionKind::flag, .help = "Send none any more"}};
constexpr std::array<std::string_view, 2> kCapabilityApplyExamples = {
    "sphere device capability apply --capability-file device.cap",
    "sphere device capability apply --none"};
constexpr std::array kCapabilityUpdateOptions = {OptionSpec{
    .name = "capability-file", .required = true, .value_name = "FILE", .help = "Capability file"}};
constexpr std::array<std::string_view, 1> kCapabilityUpdateExamples = {
    "sphere device capability update --capability-file device.cap"};
constexpr std::array<std::string_view, 1> kManufacturingStateShowExamples = {
    "sphere device manufacturing-state show"};
constexpr std::array kManufacturingStateUpdateOptions = {
    OptionSpec{.name = "state",
               .short_name = "s",
               .required = true,
               .value_name = "STATE",
               .help = "State to reach",
               .choices = kDevicecompleteModule1Complete}};
constexpr std::array<std::string_view, 1> kManufacturingStateUpdateExamples = {
    "sphere device manufacturing-state update --state Module1Complete"};
constexpr std::array kCertificateAddOptions = {
    OptionSpec{.name = "certificate",
               .short_name = "c",
               .required = true,
               .value_name = "ID",
               .help = "Identifier of the certificate",
               .aliases = kOldCertIdCertid},
    OptionSpec{.name = "cert-type",
               .short_name = "t",
               .required = true,
               .value_name = "TYPE",
               .help = "Kind of the certificate",
               .choices = kClientRootca},
    OptionSpec{.name = "public-key-file",
               .short_name = "p",
               .required = true,
               .value_name = "FILE",
               .help = "Certificate in PEM form"},
    OptionSpec{.name = "private-key-file",
               .value_name = "FILE",
               .help = "Private key of a client certificate, PEM"},
    OptionSpec{.name = "private-key-password",
               .short_name = "w",
               .value_name = "TEXT",
               .help = "Password of the key: @FILE reads it from a file, - from standard input"}};
constexpr std::array<std::string_view, 1> kCertificateAddExamples = {
    "sphere device certificate add --certificate wifi-root --cert-type rootca --public-key-file "
    "root.pem"};
constexpr std::array<std::string_view, 1> kCertificateListExamples = {
    "sphere device certificate list"};
constexpr std::array kCertificateShowOptions = {OptionSpec{.name = "certificate",
                                                           .short_name = "c",
                                                           .required = true,
                                                           .value_name = "ID",
                                                           .help = "Identifier of the certificate",
                                                           .aliases = kOldCertIdCertid}};
constexpr std::array<std::string_view, 1> kCertificateShowExamples = {
    "sphere device certificate show --certificate wifi-root"};
constexpr std::array<std::string_view, 1> kCertificateShowQuotaExamples = {
    "sphere device certificate show-quota"};
constexpr std::array kCertificateDeleteOptions = {
    OptionSpec{.name = "certificate",
               .short_name = "c",
               .required = true,
               .value_name = "ID",
               .help = "Identifier of the certificate",
               .aliases = kOldCertIdCertid}};
constexpr std::array<std::string_view, 1> kCertificateDeleteExamples = {
    "sphere device certificate delete --certificate wifi-root"};
constexpr std::array<std::string_view, 1> kNetworkListInterfacesExamples = {
    "sphere device network list-interfaces"};
constexpr std::array kNetworkEnableOptions = {OptionSpec{.name = "interface",
                                                         .required = true,
                                                         .value_name = "NAME",
                                                         .help = "The interface: wlan0, eth0"}};
constexpr std::array<std::string_view, 1> kNetworkEnableExamples = {
    "sphere device network enable --interface eth0"};
constexpr std::array kNetworkDisableOptions = {OptionSpec{.name = "interface",
                                                          .required = true,
                                                          .value_name = "NAME",
                                                          .help = "The interface: wlan0, eth0"}};
constexpr std::array<std::string_view, 1> kNetworkDisableExamples = {
    "sphere device network disable --interface eth0"};
constexpr std::array kNetworkUpdateInterfaceOptions = {
    OptionSpec{.name = "interface",
               .required = true,
               .value_name = "NAME",
               .help = "The interface: wlan0, eth0",
               .aliases = kOldInterfaceName},
    OptionSpec{.name = "hardware-address",
               .required = true,
               .value_name = "ADDRESS",
               .help = "Six pairs of digits: 02:00:00:00:00:01"}};
constexpr std::array<std::string_view, 1> kNetworkUpdateInterfaceExamples = {
    "sphere device network update-interface --interface eth0 --hardware-address 02:00:00:00:00:01"};
constexpr std::array<std::string_view, 1> kNetworkShowStatusExamples = {
    "sphere device network show-status"};
constexpr std::array kNetworkShowDiagnosticsOptions = {
    OptionSpec{.name = "network",
               .short_name = "n",
               .value_name = "N",
               .help = "Number of the network; without it, all"}};
constexpr std::array<std::string_view, 1> kNetworkShowDiagnosticsExamples = {
    "sphere device network show-diagnostics"};
constexpr std::array<std::string_view, 1> kNetworkListFirewallRulesExamples = {
    "sphere device network list-firewall-rules"};
constexpr std::array kNetworkProxyApplyOptions = {
    OptionSpec{.name = "address",
               .short_name = "a",
               .required = true,
               .value_name = "HOST",
               .help = "Name or address of the proxy"},
    OptionSpec{.name = "authentication",
               .short_name = "t",
               .required = true,
               .value_name = "TYPE",
               .help = "How the proxy knows the device",
               .choices = kAnonymousBasic},
    OptionSpec{.name = "port",
               .short_name = "r",
               .required = true,
               .value_name = "PORT",
               .help = "Port of the proxy"},
    OptionSpec{.name = "enable", .kind = OptionKind::flag, .help = "Use the proxy at once"},
    OptionSpec{.name = "no-proxy-addresses",
               .short_name = "n",
               .kind = OptionKind::list,
               .value_name = "HOST",
               .help = "Hosts that are reached without it"},
    OptionSpec{
        .name = "username", .short_name = "u", .value_name = "NAME", .help = "User name for basic"},
    OptionSpec{.name = "password",
               .short_name = "p",
               .value_name = "TEXT",
               .help = "Password for basic: @FILE reads it from a file, - from standard input"}};
constexpr std::array<std::string_view, 1> kNetworkProxyApplyExamples = {
    "sphere device network proxy apply --address proxy.example --authentication anonymous --port "
    "8080 --enable"};
constexpr std::array<std::string_view, 1> kNetworkProxyShowExamples = {
    "sphere device network proxy show"};
constexpr std::array<std::string_view, 1> kNetworkProxyEnableExamples = {
    "sphere device network proxy enable"};
constexpr std::array<std::string_view, 1> kNetworkProxyDisableExamples = {
    "sphere device network proxy disable"};
constexpr std::array<std::string_view, 1> kNetworkProxyDeleteExamples = {
    "sphere device network proxy delete"};
constexpr std::array kWifiAddOptions = {
    OptionSpec{.name = "ssid",
               .short_name = "s",
               .required = true,
               .value_name = "NAME",
               .help = "Name of the network"},
    OptionSpec{.name = "psk",
               .short_name = "p",
               .value_name = "TEXT",
               .help = "Its password: @FILE reads it from a file, - from standard input",
               .aliases = kOldKey},
    OptionSpec{.name = "config-name",
               .value_name = "NAME",
               .help = "Name of this entry, 1 to 16 characters"},
    OptionSpec{.name = "targeted-scan",
               .kind = OptionKind::flag,
               .help = "Look for it by name, for hidden networks"},
    OptionSpec{
        .name = "client-cert-id", .value_name = "ID", .help = "Client certificate for EAP-TLS"},
    OptionSpec{.name = "client-id", .value_name = "TEXT", .help = "Client identity for EAP-TLS"},
    OptionSpec{
        .name = "root-ca-cert-id", .value_name = "ID", .help = "Root certificate for EAP-TLS"}};
constexpr std::array<std::string_view, 1> kWifiAddExamples = {
    "sphere device wifi add --ssid workshop --psk @psk.txt"};
constexpr std::array<std::string_view, 1> kWifiListExamples = {"sphere device wifi list"};
constexpr std::array kWifiShowOptions = {OptionSpec{.name = "id",
                                                    .short_name = "i",
                                                    .required = true,
                                                    .value_name = "N",
                                                    .help = "Number of the network"}};
constexpr std::array<std::string_view, 1> kWifiShowExamples = {"sphere device wifi show --id 0"};
constexpr std::array kWifiEnableOptions = {OptionSpec{.name = "id",
                                                      .short_name = "i",
                                                      .required = true,
                                                      .value_name = "N",
                                                      .help = "Number of the network"}};
constexpr std::array<std::string_view, 1> kWifiEnableExamples = {
    "sphere device wifi enable --id 0"};
constexpr std::array kWifiDisableOptions = {OptionSpec{.name = "id",
                                                       .short_name = "i",
                                                       .required = true,
                                                       .value_name = "N",
                                                       .help = "Number of the network"}};
constexpr std::array<std::string_view, 1> kWifiDisableExamples = {
    "sphere device wifi disable --id 0"};
constexpr std::array kWifiForgetOptions = {OptionSpec{.name = "id",
                                                      .short_name = "i",
                                                      .required = true,
                                                      .value_name = "N",
                                                      .help = "Number of the network"}};
constexpr std::array<std::string_view, 1> kWifiForgetExamples = {
    "sphere device wifi forget --id 0"};
constexpr std::array<std::string_view, 1> kWifiScanExamples = {"sphere device wifi scan"};
constexpr std::array<std::string_view, 1> kWifiShowStatusExamples = {
    "sphere device wifi show-status"};
constexpr std::array<std::string_view, 1> kWifiReloadConfigExamples = {
    "sphere device wifi reload-config"};
constexpr std::array kLogShowOptions = {
    OptionSpec{.name = "follow",
               .kind = OptionKind::flag,
               .help = "Show what comes from now on, too, until Ctrl-C"},
    OptionSpec{.name = "level",
               .value_name = "LEVEL",
               .help = "This level and more urgent ones",
               .choices = kFatalErrorWarningInfoDebugTrace},
    OptionSpec{
        .name = "category", .value_name = "NAME", .help = "Entries of one category only: gatewayd"},
    OptionSpec{.name = "raw",
               .value_name = "FILE",
               .help = "Write the log to a file as the device keeps it"}};
constexpr std::array<std::string_view, 2> kLogShowExamples = {
    "sphere device log show --level warning", "sphere device log show --raw device.bin"};
constexpr std::array kEnableDevelopmentOptions = {
    OptionSpec{.name = "product",
               .short_name = "p",
               .value_name = "NAME",
               .help = "Product of the device, where a service is configured"},
    OptionSpec{.name = "device-group",
               .short_name = "dg",
               .value_name = "NAME",
               .help = "Group of the device, where a service is configured"},
    OptionSpec{.name = "enable-rt-core-debugging",
               .short_name = "r",
               .kind = OptionKind::flag,
               .help = "Also for debugging real-time apps",
               .aliases = kOldEnablertcoredebugging},
    OptionSpec{.name = "capability-file", .value_name = "FILE", .help = "Capability file"},
    OptionSpec{.name = "key",
               .value_name = "NAME",
               .help = "Key that signs a capability file, on a device that trusts it"}};
constexpr std::array<std::string_view, 2> kEnableDevelopmentExamples = {
    "sphere device enable-development",
    "sphere device enable-development --capability-file device.cap"};
constexpr std::array kEnableCloudTestOptions = {
    OptionSpec{.name = "product",
               .short_name = "p",
               .value_name = "NAME",
               .help = "Product of the device, where a service is configured"},
    OptionSpec{.name = "device-group",
               .short_name = "dg",
               .value_name = "NAME",
               .help = "Group of the device, where a service is configured"}};
constexpr std::array<std::string_view, 1> kEnableCloudTestExamples = {
    "sphere device enable-cloud-test"};

constexpr std::array kCommands = {
    CommandSpec{.path = "device app show-quota",
                .needs = Needs::device,
                .summary = "Show how much of its storage an app uses",
                .options = kAppShowQuotaOptions,
                .examples = kAppShowQuotaExamples},
    CommandSpec{.path = "device app show-memory-stats",
                .needs = Needs::device,
                .summary = "Show the memory that apps use",
                .examples = kAppShowMemoryStatsExamples},
    CommandSpec{.path = "device app show-sandbox",
                .needs = Needs::device,
                .summary = "Show the layers of the sandbox that an app runs in",
                .options = kAppShowSandboxOptions,
                .examples = kAppShowSandboxExamples},
    CommandSpec{.path = "device capability show-attached",
                .needs = Needs::device,
                .summary = "List the capabilities in effect on the device",
                .examples = kCapabilityShowAttachedExamples},
    CommandSpec{
        .path = "device capability apply",
        .needs = Needs::device,
        .summary = "Send a capability file with each of the following commands, or end that",
        .options = kCapabilityApplyOptions,
        .examples = kCapabilityApplyExamples},
    CommandSpec{.path = "device capability update",
                .needs = Needs::device,
                .summary = "Install a capability file on the device, which restarts",
                .options = kCapabilityUpdateOptions,
                .examples = kCapabilityUpdateExamples},
    CommandSpec{.path = "device manufacturing-state show",
                .needs = Needs::device,
                .summary = "Show the manufacturing state of the device",
                .examples = kManufacturingStateShowExamples},
    CommandSpec{.path = "device manufacturing-state update",
                .needs = Needs::device,
                .summary = "Move the manufacturing state forward for good",
                .options = kManufacturingStateUpdateOptions,
                .examples = kManufacturingStateUpdateExamples,
                .confirm = "Change the manufacturing state for good? It cannot be undone."},
    CommandSpec{.path = "device certificate add",
                .needs = Needs::device,
                .summary = "Put a certificate into the store of the device",
                .options = kCertificateAddOptions,
                .examples = kCertificateAddExamples},
    CommandSpec{.path = "device certificate list",
                .needs = Needs::device,
                .summary = "List the certificates in the store of the device",
                .examples = kCertificateListExamples},
    CommandSpec{.path = "device certificate show",
                .needs = Needs::device,
                .summary = "Show a certificate of the store of the device",
                .options = kCertificateShowOptions,
                .examples = kCertificateShowExamples},
    CommandSpec{.path = "device certificate show-quota",
                .needs = Needs::device,
                .summary = "Show the free space of the certificate store",
                .examples = kCertificateShowQuotaExamples},
    CommandSpec{.path = "device certificate delete",
                .needs = Needs::device,
                .summary = "Delete a certificate from the store of the device",
                .options = kCertificateDeleteOptions,
                .examples = kCertificateDeleteExamples},
    CommandSpec{.path = "device network list-interfaces",
                .needs = Needs::device,
                .summary = "List the network interfaces of the device",
                .examples = kNetworkListInterfacesExamples},
    CommandSpec{.path = "device network enable",
                .needs = Needs::device,
                .summary = "Switch a network interface on",
                .options = kNetworkEnableOptions,
                .examples = kNetworkEnableExamples},
    CommandSpec{.path = "device network disable",
                .needs = Needs::device,
                .summary = "Switch a network interface off",
                .options = kNetworkDisableOptions,
                .examples = kNetworkDisableExamples},
    CommandSpec{.path = "device network update-interface",
                .needs = Needs::device,
                .summary = "Set the hardware address of a network interface",
                .options = kNetworkUpdateInterfaceOptions,
                .examples = kNetworkUpdateInterfaceExamples},
    CommandSpec{.path = "device network show-status",
                .needs = Needs::device,
                .summary = "Show whether the device can use its network",
                .examples = kNetworkShowStatusExamples},
    CommandSpec{.path = "device network show-diagnostics",
                .needs = Needs::device,
                .summary = "Show why Wi-Fi networks could not be joined",
                .options = kNetworkShowDiagnosticsOptions,
                .examples = kNetworkShowDiagnosticsExamples},
    CommandSpec{.path = "device network list-firewall-rules",
                .needs = Needs::device,
                .summary = "List the rules of the packet filter of the device",
                .examples = kNetworkListFirewallRulesExamples},
    CommandSpec{.path = "device network proxy apply",
                .needs = Needs::device,
                .summary = "Set the proxy of the device",
                .options = kNetworkProxyApplyOptions,
                .examples = kNetworkProxyApplyExamples},
    CommandSpec{.path = "device network proxy show",
                .needs = Needs::device,
                .summary = "Show the proxy of the device",
                .examples = kNetworkProxyShowExamples},
    CommandSpec{.path = "device network proxy enable",
                .needs = Needs::device,
                .summary = "Use the proxy that is set",
                .examples = kNetworkProxyEnableExamples},
    CommandSpec{.path = "device network proxy disable",
                .needs = Needs::device,
                .summary = "Keep the proxy and do not use it",
                .examples = kNetworkProxyDisableExamples},
    CommandSpec{.path = "device network proxy delete",
                .needs = Needs::device,
                .summary = "Delete the proxy of the device",
                .examples = kNetworkProxyDeleteExamples},
    CommandSpec{.path = "device wifi add",
                .needs = Needs::device,
                .summary = "Add a Wi-Fi network to the device",
                .options = kWifiAddOptions,
                .examples = kWifiAddExamples},
    CommandSpec{.path = "device wifi list",
                .needs = Needs::device,
                .summary = "List the Wi-Fi networks of the device",
                .examples = kWifiListExamples},
    CommandSpec{.path = "device wifi show",
                .needs = Needs::device,
                .summary = "Show a Wi-Fi network of the device",
                .options = kWifiShowOptions,
                .examples = kWifiShowExamples},
    CommandSpec{.path = "device wifi enable",
                .needs = Needs::device,
                .summary = "Let the device join a Wi-Fi network",
                .options = kWifiEnableOptions,
                .examples = kWifiEnableExamples},
    CommandSpec{.path = "device wifi disable",
                .needs = Needs::device,
                .summary = "Keep a Wi-Fi network and do not join it",
                .options = kWifiDisableOptions,
                .examples = kWifiDisableExamples},
    CommandSpec{.path = "device wifi forget",
                .needs = Needs::device,
                .summary = "Delete a Wi-Fi network from the device",
                .options = kWifiForgetOptions,
                .examples = kWifiForgetExamples},
    CommandSpec{.path = "device wifi scan",
                .needs = Needs::device,
                .summary = "List the Wi-Fi networks that the device hears",
                .examples = kWifiScanExamples},
    CommandSpec{.path = "device wifi show-status",
                .needs = Needs::device,
                .summary = "Show the state of the Wi-Fi interface",
                .examples = kWifiShowStatusExamples},
    CommandSpec{.path = "device wifi reload-config",
                .needs = Needs::device,
                .summary = "Let the device read its Wi-Fi networks again",
                .examples = kWifiReloadConfigExamples},
    CommandSpec{.path = "device log show",
                .needs = Needs::device,
                .summary = "Show the diagnostic log of the device",
                .options = kLogShowOptions,
                .examples = kLogShowExamples},
    CommandSpec{.path = "device enable-development",
                .needs = Needs::device,
                .summary = "Prepare the device for deploying and debugging apps",
                .options = kEnableDevelopmentOptions,
                .examples = kEnableDevelopmentExamples},
    CommandSpec{.path = "device enable-cloud-test",
                .needs = Needs::device,
                .summary = "End development on the device: apps come from the service",
                .options = kEnableCloudTestOptions,
                .examples = kEnableCloudTestExamples},
};

}  // namespace

std::span<const CommandSpec> device_settings_commands() { return kCommands; }

}  // namespace sphere::cli
