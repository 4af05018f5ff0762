"""A ROS 2 node that publishes the faces of an image topic in the manner of ROS4HRI (REP-155).

    ros2 run ... or simply: python affect_node.py --ros-args -r image:=/camera/image_raw

Subscribes   image                               sensor_msgs/Image, newest frame wins
Publishes    /humans/faces/tracked               hri_msgs/IdsList
             /humans/faces/<id>/roi              hri_msgs/NormalizedRegionOfInterest2D
             /humans/faces/<id>/expression       hri_msgs/Expression

Needs a ROS 2 installation with hri_msgs. It has been compiled and its conversions tested, but it has not been run on ROS: the project's own
machines have none.
"""

from __future__ import annotations

import affectrt
import rclpy
from conversions import Lingering, expression_of, face_id, frame_of, region_of, stamp_ns
from hri_msgs.msg import Expression, IdsList, NormalizedRegionOfInterest2D
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

# A queue of one, and no resending: a late frame is replaced, never waited for.
NEWEST = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)


class AffectNode(Node):
    def __init__(self) -> None:
        super().__init__("affect")
        self._face = affectrt.Face()
        self._tracked = self.create_publisher(IdsList, "/humans/faces/tracked", 1)
        self._of_face: dict[str, tuple] = {}
        self._lingering = Lingering()
        self.create_subscription(Image, "image", self._see, NEWEST)
        self.get_logger().info(f"affectrt {affectrt.__version__} on {self._face.provider}")

    def _publishers(self, name: str) -> tuple:
        if name not in self._of_face:
            self._of_face[name] = (
                self.create_publisher(NormalizedRegionOfInterest2D, f"/humans/faces/{name}/roi", 1),
                self.create_publisher(Expression, f"/humans/faces/{name}/expression", 1),
            )
        return self._of_face[name]

    def _see(self, message: Image) -> None:
        try:
            frame, color = frame_of(message)
        except ValueError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        now_ns = stamp_ns(message.header.stamp)
        faces = {face_id(f): f for f in self._face(frame, now_ns, color=color)}
        # Every message carries the capture time of its picture.
        self._tracked.publish(IdsList(header=message.header, ids=list(faces)))
        for name, face in faces.items():
            roi, expression = self._publishers(name)
            roi.publish(NormalizedRegionOfInterest2D(header=message.header, **region_of(face, message.width, message.height)))
            expression.publish(Expression(header=message.header, **expression_of(face)))
        for name in self._lingering.gone(faces, now_ns):
            for publisher in self._of_face.pop(name):
                self.destroy_publisher(publisher)


def main() -> None:
    rclpy.init()
    node = AffectNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
